"""All targets by name."""

from decoders import DECODERS
from ingest import INGEST
from parsers import PARSERS

TARGETS = {target.name: target for target in (*PARSERS, *DECODERS, INGEST)}
