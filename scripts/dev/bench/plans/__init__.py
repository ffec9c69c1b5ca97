"""Whether anything grows with what is stored: the plans that Postgres really ran, at a tenth of the rows and at all."""
