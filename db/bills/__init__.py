"""Bills: what a period asks a partner to pay, and the life of that demand."""
