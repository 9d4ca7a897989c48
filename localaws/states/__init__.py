"""An interpreter of the Amazon States Language (https://states-language.net and the Step Functions Developer Guide).

It knows neither a server nor a transport: what a task does, how JSONata is evaluated and where events go are passed in.

    definition.py    the checks of CreateStateMachine: structure, fields, transitions, reachability
    interpreter.py   one execution, state by state
    runtime.py       the surroundings of an execution, and one state of it while it runs
    tasks.py         one try of a task: arguments, token, history, outcome
    together.py      branches and iterations at once
    dataflow.py      JSONata's Arguments, Output and Assign; variables and their scopes
    paths.py         JSONPath: its grammar, what a path selects, what a result path writes
    attempts.py      waiting for a task: timeout, heartbeat, task token, abandoning
    cancellation.py  stopping an execution, with every branch and wait in it
    retry.py         which retrier, and how long until the next try
    history.py       the events of GetExecutionHistory
    execution_log.py which of them are logged, and in which shape
"""
