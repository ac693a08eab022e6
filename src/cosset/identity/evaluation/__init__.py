"""The one policy evaluator: documents in, a decision that explains itself out. Pure: no store, no wire, no clock.

`policy.py` compiles a document once, `conditions.py` and `operators.py` its Condition blocks, `principals.py` its
principals; `context.py` is what a call says of itself. Read next: `evaluator.py`, which holds AWS's logic, and
docs/decisions/0010-policy-evaluation.md. Service and resource control policies (SCP, RCP) do not exist here.
"""
