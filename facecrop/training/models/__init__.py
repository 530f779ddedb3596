"""Networks: trunks of timm and of our own, heads, where their first weights come from, export."""
