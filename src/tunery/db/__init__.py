"""The SQL database: tables, migrations, and the queries of each noun."""
