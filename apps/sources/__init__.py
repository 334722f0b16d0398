"""Where code comes from: Git hosts and their credentials, webhooks, GitHub Apps, registries."""
