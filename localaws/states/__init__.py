"""An interpreter of the Amazon States Language (https://states-language.net and the Step Functions Developer Guide).

It knows neither a server nor a transport: what a task does, how JSONata is evaluated and where events go are passed in.

    definition.py    what CreateStateMachine checks: structure, fields, transitions, reachability
    interpreter.py   one execution, state by state
    dataflow.py      JSONata's Arguments, Output and Assign; variables and their scopes
    attempts.py      one try of a task: timeout, heartbeat, task token, abandoning
    retry.py         which retrier, and how long until the next try
    history.py       the events of GetExecutionHistory
    execution_log.py which of them are logged, and in which shape
"""
