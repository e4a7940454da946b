"""The tables of the database, as numbered steps: number n leads from user_version n - 1 to n."""

APPLICATION_ID = 0x50424F58
"""`PBOX`, in the file's header: tells our database from any other."""

_FIRST = """
CREATE TABLE cores (
    core_id INTEGER PRIMARY KEY AUTOINCREMENT,
    core_key BLOB NOT NULL,
    discovery_key BLOB NOT NULL UNIQUE,
    manifest BLOB,
    length INTEGER NOT NULL DEFAULT 0,
    byte_length INTEGER NOT NULL DEFAULT 0,
    fork INTEGER NOT NULL DEFAULT 0,
    tree_hash BLOB NOT NULL DEFAULT x'',
    signature BLOB NOT NULL DEFAULT x'',
    contiguous_length INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE nodes (
    core_id INTEGER NOT NULL,
    node_index INTEGER NOT NULL,
    size INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (core_id, node_index)
) WITHOUT ROWID;
-- bits: a page without its trailing zero bytes; a page with no bit set has no row
CREATE TABLE pages (
    core_id INTEGER NOT NULL,
    page INTEGER NOT NULL,
    bits BLOB NOT NULL,
    PRIMARY KEY (core_id, page)
) WITHOUT ROWID;
-- names are UTF-8 bytes, so that their order and their prefixes are those of the bytes
CREATE TABLE user_data (
    core_id INTEGER NOT NULL,
    name BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (core_id, name)
) WITHOUT ROWID;
CREATE TABLE directory (name BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
-- what the data files still owe to a committed step (see chores.py)
CREATE TABLE chores (
    discovery_key BLOB NOT NULL,
    kind INTEGER NOT NULL,
    byte_offset INTEGER NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (discovery_key, kind, byte_offset, size)
) WITHOUT ROWID;
-- block bytes that a step under way replaces, to be put back if it does not come through
CREATE TABLE replaced (
    discovery_key BLOB NOT NULL,
    byte_offset INTEGER NOT NULL,
    data BLOB NOT NULL
);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)
"""One script each; only ever appended to."""


def script(version: int) -> str:
    """The whole step to `version`, as one transaction that also writes the number down."""
    return (
        f"BEGIN IMMEDIATE;\n{MIGRATIONS[version - 1]}"
        f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {version};\nCOMMIT;"
    )
