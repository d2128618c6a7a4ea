"""The Hamming distance of two 64-bit columns as one expression of each database."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction


class bits_that_differ(GenericFunction[int]):  # noqa: N801  a function of SQL
    """``bits_that_differ(column, value)``: from 0 to 64."""

    type = Integer()
    inherit_cache = True
    name = "bits_that_differ"

    def __init__(self, column: ColumnElement[int], value: int) -> None:
        # Written out: SQLite's expression names it 18 times, and fetches a parameter anew each time, for every hash it judges.
        super().__init__(column, literal_column(str(value), BigInteger))


@compiles(bits_that_differ, "postgresql")
def _on_postgresql(element: bits_that_differ, compiler: Any, **kw: Any) -> str:
    one, other = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"bit_count(({one} # CAST({other} AS BIGINT))::bit(64))"


@compiles(bits_that_differ, "sqlite")
def _on_sqlite(element: bits_that_differ, compiler: Any, **kw: Any) -> str:
    # SQLite has neither XOR nor a count of bits, and turns into a float what leaves 64 bits. So the sign is counted by itself,
    # the other bits in pairs, in fours and in eights, and the eight sums are added as digits to the base of 256.
    one, other = (compiler.process(clause, **kw) for clause in element.clauses)
    differing = f"(({one} | {other}) - ({one} & {other}))"
    positive = f"({differing} & {0x7FFFFFFFFFFFFFFF})"
    pairs = f"({positive} - (({positive} >> 1) & {0x5555555555555555}))"
    fours = f"(({pairs} & {0x3333333333333333}) + (({pairs} >> 2) & {0x3333333333333333}))"
    eights = f"(({fours} + ({fours} >> 4)) & {0x0F0F0F0F0F0F0F0F})"
    return f"({eights} % 255 + ({differing} < 0))"
