"""Reading faces: byte ranges of CSV files become blocks of a fixed number of rows."""
