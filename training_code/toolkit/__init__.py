"""What is shipped inside every training job, beside the model's own code: serving and evaluation.

It uses the standard library and what the framework images have (NumPy, scikit-learn), each imported where it is needed.
"""
