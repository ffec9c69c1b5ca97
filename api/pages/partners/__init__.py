"""Partners: the companies that are billed, with terms, products, prices, usage, months and account."""
