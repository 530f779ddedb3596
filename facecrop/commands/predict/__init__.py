"""`facecrop predict`: a run's answers for other pictures."""
