"""The fixtures of dam: worlds, databases and small files. A test that asks for one runs on SQLite and on PostgreSQL."""

pytest_plugins = ["dam_test_utils.fixtures"]
