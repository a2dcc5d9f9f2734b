"""What a face expresses: landmarks, blendshapes, and what a landmark network sees in between.

The model (see `daskfer.bundle`) was trained to find landmarks and to move avatars, without any
label of an emotion.
"""
