"""Master data: partners with their terms, products, rates and customers."""
