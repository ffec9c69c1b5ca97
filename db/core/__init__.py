"""What everything else in `db` stands on: settings, the engine and its transactions, locks, tables, migrations."""
