"""The numbered steps of the database's tables."""

import sqlite3

from pearbox_edge.data.storage.migrations import APPLICATION_ID, MIGRATIONS, script


def test_all_steps_lead_from_nothing_to_the_newest_version() -> None:
    database = sqlite3.connect(":memory:")
    for version in range(1, len(MIGRATIONS) + 1):
        database.executescript(script(version))
        assert database.execute("PRAGMA user_version").fetchone() == (version,)
    assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    assert {"cores", "nodes", "pages", "user_data", "directory", "chores", "replaced"} <= tables
    database.close()
