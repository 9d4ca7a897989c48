"""The toolkit: shipped inside every training job, beside the model's own code. Serving, evaluation, probe, rules.

It uses the contract, the standard library and what the framework images have (NumPy, scikit-learn), each imported where
it is needed.
"""

import importlib.util
import sys
from pathlib import Path

# In a job the contract lies beside the toolkit. In a checkout, where models are also trained by hand, a folder up.
if importlib.util.find_spec("contract") is None:
    sys.path.append(str(Path(__file__).resolve().parents[2]))
