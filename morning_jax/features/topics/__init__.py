"""Topics: latent Dirichlet allocation over accounts' captions."""
