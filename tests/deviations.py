"""Where the embedded AWS differs from AWS on purpose, each with its reason; docs/fidelity.md lists them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Deviation:
    """One difference, argued: what AWS does, what happens here, and why that is better for who works here."""

    area: str
    aws: str
    here: str
    why: str


DEVIATIONS = (
    Deviation(
        "Training jobs",
        "FailureReason doesn't tell on which host of several a job failed.",
        "It begins with the host's name: AlgorithmError: algo-2: …, exit code: 1.",
        "One knows at once whose log to read.",
    ),
    Deviation(
        "Training jobs",
        "Each host of several has the interface eth0, an address of its network and the internet behind it.",
        "Each has a loopback address in a private network of the job's, with the interface lo; behind it is this AWS.",
        "Nothing is relayed, any two jobs may listen on the same port, and it takes no privilege.",
    ),
    Deviation(
        "Training jobs",
        "Each host of several has a copy of its own of a FullyReplicated channel, and a hook's folder of its own.",
        "Of a channel above 256 MiB all have the same files, which a script can remove and replace, but not write to. "
        "The hook's folder is one for all.",
        "Data takes its room and its time once, and rules read the tensors of all hosts as they come.",
    ),
    Deviation(
        "Training jobs",
        "TensorFlow's container asks for the region of the bucket in model_dir, with s3:GetBucketLocation of the role.",
        "It isn't asked: all buckets are in this AWS's one region. A pipeline.yaml with such a model_dir is refused.",
        "The answer is known; the permission, which the training role of a pipeline hasn't, is told before.",
    ),
    Deviation(
        "Training jobs",
        "TensorFlow's container warns at the end of a model that isn't a SavedModel: its serving container reads none.",
        "It says nothing of it.",
        "Models are served by another framework's container, and the warning would mislead.",
    ),
    Deviation(
        "Containers",
        "pip installs a job's requirements with all of the job's variables, its data and its role.",
        "What later jobs may use too, it installs with the requirements and pip's own variables alone, in a container "
        "of its own; what can't be installed that way, the job's container installs as in AWS.",
        "Nobody can put anything into packages that another job gets, and a job's second run installs nothing.",
    ),
    Deviation(
        "Containers",
        "A script is root with Docker's capabilities and all of a container's file system to write to.",
        "It is root without any capability: chown, su and mknod fail; it writes to /opt/ml, /tmp, the environment of "
        "its image and /dev/shm.",
        "What has no privilege can't undo what keeps it from its user's files, and needs none of the user's.",
    ),
    Deviation(
        "Containers",
        "In an image of one's own root may do with everybody's files what it likes, and programs become other users.",
        "Owners are kept where the server is root, and a program is who USER says, for good; where the server is an "
        "ordinary user's, that user is the owner of all files, and the job's log says so.",
        "The same container without privileges as a framework's: an image is somebody else's programs.",
    ),
    Deviation(
        "Containers",
        "CodeBuild runs a project's commands in the image that its environment names, with the programs of that.",
        "They run in a container with this machine's programs, and with aws, docker and curl; other images than "
        "CodeBuild's own are refused by name.",
        "CodeBuild's standard images have 10 GB, for a shell and three programs; what builds here builds there.",
    ),
    Deviation(
        "Containers",
        "A build makes all layers of its images anew, unless its project has a cache.",
        "Layers that earlier builds of the same role have made are used again; images themselves are forgotten.",
        "A Dockerfile is tried many times on a laptop, whose disk is there in between.",
    ),
    Deviation(
        "Containers",
        "ECR scans an image that is pushed, and tells its findings.",
        "A scan ends as AWS's of an image that it can't scan: FAILED, UnsupportedImageError.",
        "There is no scanner here, and no findings are better than invented ones: a pipeline sees what it has to bear.",
    ),
    Deviation(
        "Endpoints",
        "A container has a worker for each vCPU of its instance, unless SAGEMAKER_MODEL_SERVER_WORKERS says otherwise.",
        "It has one; so many as the variable says, where a model's Environment has it.",
        "A laptop has other work to do, and each worker loads the model for itself.",
    ),
    Deviation(
        "Endpoints",
        "A container that doesn't become healthy has one FailureReason, whatever ended it.",
        "The same sentence, and a second one where its memory, its disk or the number of its processes has ended it.",
        "Out of memory is the most frequent reason, and the last that a log without a traceback makes one think of.",
    ),
    Deviation(
        "Lambda",
        "A function runs as an ordinary user, and what it writes to /tmp is on a disk.",
        "It is root without any capability; its /tmp is memory, of the size that EphemeralStorage says.",
        "One user is all that an ordinary user may map, and a /tmp in memory is gone with its function.",
    ),
    Deviation(
        "Training jobs",
        'A script that fills its volume gets "No space left on device" and goes on as it likes.',
        "The job is ended, as AlgorithmError: Insufficient disk space, within a second or so.",
        "A volume of its own would need root and seconds of every job; a full disk would harm everything else here.",
    ),
    Deviation(
        "Training jobs",
        "A container has all of its instance type's memory.",
        "It has no more than this machine, less a tenth.",
        "The job gives way before the machine and the server do.",
    ),
    Deviation(
        "Tuning",
        "A trial that early stopping or the end of its tuning job stops has two minutes from SIGTERM to SIGKILL.",
        "It is killed at once, unless it has reached Hyperband's MaxResource; what lies in /opt/ml/model is kept.",
        "A framework image's `train` passes no SIGTERM on: nobody hears it, and the trial would only train on.",
    ),
    Deviation(
        "Tuning",
        "Each trial has instances of its own, with all of their cores.",
        "Trials that run at once share this machine's: OMP_NUM_THREADS and its kin are set, and their logs say so.",
        "Two trials with a thread a core each would take longer together than one after the other.",
    ),
    Deviation(
        "Cloud Control",
        "UpdateResource answers IN_PROGRESS, and what goes wrong is the status of the request later.",
        "The update is done when it answers; what goes wrong is the error of the call.",
        "`cdk deploy --hotswap` does not ask for the status, so that a refused definition would look deployed.",
    ),
    Deviation(
        "CloudFormation",
        "Every type of resource and every property is taken.",
        "What the embedded AWS can't honour is refused by name, before or while the stack is made.",
        "A property without an effect would pass a test here that the account fails.",
    ),
    Deviation(
        "CloudFormation",
        "A custom resource whose function raises without an answer holds the stack for an hour.",
        "The stack fails at once, with the exception as its reason.",
        "The hour teaches nothing that the exception doesn't say.",
    ),
    Deviation(
        "CloudFormation",
        "CreateStack and its like answer at once; clients look again every few seconds.",
        "They answer when the operation is over, if that takes four seconds at most; the stack's events are the same.",
        "`cdk deploy` would wait five seconds for what took half a second.",
    ),
    Deviation(
        "Containers",
        "A container is root of a file system of its own, and writes wherever it likes.",
        "It writes to /opt/ml, /tmp (its HOME) and its Python environment; elsewhere the file system is read-only.",
        "What lies elsewhere is this machine's own, and SageMaker keeps nothing of it.",
    ),
    Deviation(
        "IAM",
        "A job's image is pulled as its role, which needs ecr:BatchGetImage and its like.",
        "An image of AWS's is an environment of this machine; nothing is pulled, and the role isn't asked.",
        "What a role needs for whose image isn't documented; the stacks grant it, and their tests hold that.",
    ),
    Deviation(
        "IAM",
        "The root user can't assume a role.",
        "It may, where the role's trust policy lets the account in.",
        "`ratchet env` gives the root user's key; a role could else be tried only as a user made for it.",
    ),
    Deviation(
        "IAM",
        "Some services answer a denial without the action that is missing.",
        "Every refusal names the principal, the action and the resource.",
        "A role that lacks one action is mended in one step.",
    ),
    Deviation(
        "Lambda",
        "An execution environment is frozen between invocations and ends when Lambda likes, at most hours later.",
        "It runs on, and ends two minutes after its last invocation, or as the one of more than forty that was used "
        "least recently; `idle_functions` in settings.json says otherwise.",
        "Each is a process of some 20 MB, and a laptop has no more memory for those that nobody invokes.",
    ),
    Deviation(
        "Lambda",
        "Functions of every runtime run, and functions of images.",
        "Python's run; every other runtime is refused by name when the function is made.",
        "A function that can't run here must not look as if it could.",
    ),
    Deviation(
        "Spot training",
        "The market takes instances and gives them back as it likes.",
        "Instances are there at once; they go by command or by a schedule in settings.json.",
        "Interruptions can be repeated, and nobody waits for capacity that isn't asked for.",
    ),
    Deviation(
        "Step Functions",
        "Filters, unions and functions in a JSONPath are evaluated, and JSONPath states may assign variables.",
        "A definition with one of them is refused by name when the machine is made.",
        "JSONata does all of it, and a path that selects something else than in the account must not run.",
    ),
    Deviation(
        "Step Functions",
        "The documentation doesn't say whether `.sync` of a job that somebody stops fails the task.",
        "It fails with States.TaskFailed; `stopped_job: succeeds` in settings.json makes it succeed.",
        "Both readings can be tried; a machine should stand both.",
    ),
    Deviation(
        "Processing jobs",
        "A container that fails is told as `AlgorithmError: , exit code: N`, whatever it said.",
        "What it said last stands between; so it does for a training job's own entry point.",
        "The cause is read where the run is read; whoever needs it in the account writes /opt/ml/output/message.",
    ),
    Deviation(
        "Training jobs",
        "The scikit-learn and XGBoost images leave ErrorMessage empty: they don't capture what a script says.",
        "What the script said last is the message, as PyTorch's image has it.",
        "The cause is read where the run is read; in the account it is in the log.",
    ),
    Deviation(
        "Training jobs",
        "A sagemaker_program that isn't in the source, or a source that isn't there or no tar.gz, fails inside the "
        "container with the error of Python, boto3 or tarfile.",
        "The job fails as a ClientError that names the file and says what the archive holds.",
        "The same job fails, and its reason is understood.",
    ),
    Deviation(
        "Training jobs",
        "A FailureReason longer than 1,024 characters is cut.",
        "It keeps its beginning and its end, with the last traceback in it.",
        "The cause stands at one end or the other.",
    ),
    Deviation(
        "Endpoints",
        "CAPACITY_PERCENT turns on whole instances of the new fleet; which share of requests they get isn't told.",
        "The new fleet gets exactly that share, in turn, even with one instance; VariantStatus counts whole ones.",
        "A canary of 10 % can be tried on a laptop with an endpoint of one instance.",
    ),
    Deviation(
        "Endpoints",
        "Instances of a variant with InstancePools may be of several types at once, as capacity comes and goes.",
        "All are of the first type that isn't in `without_capacity` of settings.json when the deployment begins.",
        "Which types are to be had is a setting here, which doesn't change while the server runs.",
    ),
    Deviation(
        "Endpoints",
        "FailureReason of an update that was rolled back may be empty.",
        "It says which alarm, limit or container ended the deployment.",
        "EndpointConfigName tells that it was rolled back there and here; here nobody needs to guess why.",
    ),
    Deviation(
        "CloudWatch",
        "An alarm's state is judged once a minute, from 60 seconds of period on.",
        "It is judged whenever metrics come in, up to now: a period needn't be over to breach.",
        "What is bad is rolled back as soon as it shows.",
    ),
    Deviation(
        "Endpoints",
        "The Flask servers of the scikit-learn and XGBoost images add `; charset=utf-8` to output_fn's text/csv.",
        "The content type is the one that output_fn named, to the letter; the endpoint's log says once what AWS adds. "
        "The next container of an inference pipeline sees it as AWS's does.",
        "The same serve.py answers the same in PyTorch's image; clients should compare the media type alone.",
    ),
    Deviation(
        "Models",
        "Several containers are told their ports: SAGEMAKER_BIND_TO_PORT, SAGEMAKER_SAFE_PORT_RANGE.",
        "In a framework's image neither is set: its model server listens on no port, and is reached through its "
        "endpoint alone.",
        "Nothing else on the machine can ask a model around InvokeEndpoint and its permissions.",
    ),
    Deviation(
        "Endpoints",
        "A model in an image of one's own reaches the internet, unless its model has EnableNetworkIsolation.",
        "It is in a network of its own, in which this AWS answers and nothing else does.",
        "Any number of containers may listen on port 8080 without taking the laptop's, and who can run a program here "
        "can't ask a model around InvokeEndpoint and its permissions.",
    ),
    Deviation(
        "Endpoints",
        "Each further instance pulls the model's image, and doesn't come where it has gone from the registry.",
        "A deployment's instances have the image that the first of them pulled, also after a restart of the server.",
        "An instance here ends with the laptop's evening; in AWS it would have gone on.",
    ),
    Deviation(
        "Endpoints",
        "In a worker of the scikit-learn and XGBoost images whatever blocks lets other requests be answered: sockets, "
        "locks, queues (gevent has patched them).",
        "Two of them do, time.sleep and threading.Event.wait; model code that blocks otherwise keeps its turn, and one "
        "that waits with a lock that others need goes on after five seconds.",
        "Python's own locks stay as they are, so that a model that never waits costs nothing more.",
    ),
    Deviation(
        "Endpoints",
        "With SAGEMAKER_TS_BATCH_SIZE PyTorch's image is handed several requests that wait for each other; it predicts "
        "one after the other, and fails all if one fails.",
        "Each is answered by itself, and the endpoint's log says so.",
        "Nobody gains by it in the account, either, and who has set it should know.",
    ),
    Deviation(
        "Endpoints",
        "The scikit-learn and XGBoost images don't serve a model whose Environment lacks SAGEMAKER_PROGRAM.",
        "code/inference.py is taken, as PyTorch's image does; the endpoint's log says that AWS's image doesn't.",
        "A model that was packed for one image can be looked at in another.",
    ),
    Deviation(
        "Endpoints",
        "The scikit-learn and XGBoost images run `pip install .` on any code directory.",
        "Only one with a setup.py, pyproject.toml, setup.cfg or requirements.txt is installed; the log says what AWS's "
        "install needs where the Environment doesn't keep it from an index.",
        "Of a bare directory only a copy would come, at half a second a start.",
    ),
    Deviation(
        "Training jobs",
        "A SIGTERM before the first process has set its handler is lost.",
        "In a container's first two seconds the signal waits for a handler.",
        "On a loaded laptop a Python starts later than in an instance; whether a test passes mustn't hang on that.",
    ),
    Deviation(
        "Training jobs",
        "Requirements are downloaded and installed anew in every job.",
        "What a job has installed is kept for the next with the same requirements, variables and image, which its log "
        "says; removing the image folder's `*+installed-*` forgets it.",
        "The edit-run loop: an install takes longer than most trainings on a laptop.",
    ),
    Deviation(
        "Endpoints",
        "PyTorch's container installs the model's requirements.txt at each start of each instance.",
        "It is installed once, before the container starts, and kept: for other instances, later deployments and "
        "trainings with the same requirements, variables and image. The container's log says so.",
        "The edit-run loop, and four instances on a laptop's cores.",
    ),
    Deviation(
        "Training jobs",
        "A job waits for minutes before it fails with CapacityError; so do processing and transform jobs.",
        "It fails at once.",
        "What a workflow does then can be tried without a wait.",
    ),
    Deviation(
        "Training jobs",
        "A profiler measures the instance, and its rules judge that.",
        "ProfilerConfig is taken and described, and the job's log says that nothing is measured; profiler rules are "
        "refused by name.",
        "Version 2 of the SageMaker SDK sends it with every job; figures of a laptop would say nothing of an instance.",
    ),
    Deviation(
        "Debugger",
        "The hook, smdebug, is one package, and in the image.",
        "The probe is in two folders that a job brings along, `toolkit` and `contract`: one alone can't be imported.",
        "What all rooms agree on is said once, in the contract; Ratchet packs both, and so must who packs by hand.",
    ),
    Deviation(
        "Processing jobs",
        "A first process without a handler for SIGTERM goes on until it is killed.",
        "It ends at once.",
        "Who stops an evaluation on a laptop shouldn't wait two minutes for a process that can't know of it.",
    ),
    Deviation(
        "Regular expressions",
        "Metric definitions, AllowedPattern, Insights queries and JSONata take a syntax that is told nowhere.",
        "They take RE2's: lookaround, back-references, atomic groups and possessive quantifiers are refused by name.",
        "With those one expression and forty characters would keep a laptop's whole AWS busy for years.",
    ),
    Deviation(
        "SageMaker quotas",
        "Every instance type has a quota; a new account's are often 0.",
        "There are those that settings.json names, and no others.",
        "A laptop has no limit of its own, and which an account has only the account knows.",
    ),
    Deviation(
        "S3",
        "Access logs arrive within hours, some never.",
        "They arrive after two seconds.",
        "A test can wait for them.",
    ),
    Deviation(
        "Shadow variants",
        "Whether the captured copy of a request has the original's event id isn't told anywhere.",
        "It has; Ratchet's comparison does without it, by what was asked.",
        "Answers that belong together should be found, whichever it is.",
    ),
    Deviation(
        "Shadow variants",
        "How a shadow's weight is read and what becomes of copies that it can't take aren't told.",
        "The weight over the production variant's is the share; copies beyond 256 that wait are left out.",
        "With both at 1, as in the guide, every request is copied; a shadow may never hold anybody up.",
    ),
    Deviation(
        "Data capture",
        "Captures arrive within minutes; whether answers with an error are captured isn't told.",
        "They arrive within ten seconds of the scaled clock, without errors.",
        "A test can wait for them, and an error is no answer of the model's.",
    ),
    Deviation(
        "Transform jobs",
        "The guide's text calls the end of a filter's slice inclusive, its table points to JsonPath, where it isn't.",
        "`$[1:4]` is the second to the fourth column, as in JsonPath; `$[:-1]` leaves the last one out.",
        "AWS's own examples leave the label out so, and a model that gets a column too many fails at once.",
    ),
    Deviation(
        "Transform jobs",
        "A filter with several ranges, as `$[0,5:]`, is accepted, and the job fails; the API reference shows it.",
        "CreateTransformJob refuses it, in the words that the job's data log has in AWS.",
        "What can't work should be told before anything starts.",
    ),
    Deviation(
        "Transform jobs",
        "Whether CreateTransformJob looks at the input isn't told anywhere.",
        "A prefix without objects, and one that the model's role can't list, are refused as of a training job.",
        "What can't work should be told before anything starts.",
    ),
)
