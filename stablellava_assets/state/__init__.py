"""State that the processes of a project share: SQLite files and lock files on one machine, PostgreSQL for several."""
