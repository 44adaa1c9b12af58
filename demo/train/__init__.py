"""How the demo's tiny models were trained: data, VAE, SD3, export. See demo/README.md for the commands."""
