"""The rules of bills (B1–B11): what a bill asks for, its proof, its moves, the partner's account."""
