"""Evaluation: internal scores that read no labels, external ones that do, each beside chance."""
