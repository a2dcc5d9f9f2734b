"""Sweeps: the same figures for every choice of representation, components and clusters.

No label is read here. What a choice is worth is told by noise: data without any structure has a
silhouette too, and clusters of it are stable to some degree (see `statement`).
"""
