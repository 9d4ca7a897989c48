"""How a processing job runs a file of a pipeline's code archive: an evaluation, or the views of a finished training."""

from __future__ import annotations

from contract import files

# Of an element of its entry point (AppSpecification, API reference).
ELEMENT_LENGTH = 256
# The inputs of processing jobs, each a folder of its name, and what they leave.
INPUTS, OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"


def program(script: str) -> str:
    """Python that unpacks sourcedir.tar.gz, the job's input for it, and runs a file of it.

    As SageMaker's own framework processors do: the code arrives as an archive. No braces after a dollar: CloudFormation
    would read those as a substitution. Python itself unpacks it: an AWS that keeps an interpreter warm needn't start
    one.
    """
    return (
        "import os,runpy,shutil,sys,tempfile as t;os.chdir(t.mkdtemp());"
        f'd=os.getenv("SAGEMAKER_BASE_DIR","/opt/ml")+"/processing/input/{files.CODE_INPUT}/";'
        'shutil.unpack_archive(d+os.listdir(d)[0],".","gztar");'
        f'p=sys.argv[0]="{script}";runpy.run_path(p,None,"__main__")'
    )
