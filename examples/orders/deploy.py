"""Makes the pipeline, or makes it again: every call here may be repeated."""

import io
import json
import zipfile
from pathlib import Path

import boto3

iam, sns, sqs, functions = (boto3.client(name) for name in ("iam", "sns", "sqs", "lambda"))
HERE = Path(__file__).parent


def main():
    # A FIFO topic keeps each customer's orders in order, and knows an order again that is sent twice.
    topic = sns.create_topic(Name="orders.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]

    # What cannot be mailed in two attempts is kept for somebody to look at. A message that a function has taken is
    # hidden for 12 seconds: six times as long as the function may run, as AWS advises.
    dead = make_queue("orders-mail-dead")
    redrive = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 2})
    mail = make_queue("orders-mail", VisibilityTimeout="12", RedrivePolicy=redrive)
    book = make_queue("orders-book.fifo", FifoQueue="true", VisibilityTimeout="12")

    # The fan-out: each order goes to both queues, as it is and not wrapped in a notification.
    for queue in (mail, book):
        let_in(queue, topic)
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})

    role = make_role("orders", mail, book)
    make_function("orders-mail", "mail.py", role, mail, DOMAINS="example.com")
    make_function("orders-book", "book.py", role, book)
    print("Deployed. Next: python order.py")


def make_queue(name, **attributes):
    """The queue's ARN."""
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def let_in(queue, topic):
    """A queue takes nothing from a topic that its policy does not name."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    url = sqs.get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def make_role(name, *queues):
    """What the functions may do: read their queues, write their logs. The role's ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    reading = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    logging = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    allowed = [
        {"Effect": "Allow", "Action": reading, "Resource": list(queues)},
        {"Effect": "Allow", "Action": logging, "Resource": "*"},
    ]
    try:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
        iam.get_waiter("role_exists").wait(RoleName=name)
    except iam.exceptions.EntityAlreadyExistsException:
        pass
    iam.put_role_policy(RoleName=name, PolicyName="orders", PolicyDocument=document(*allowed))
    return iam.get_role(RoleName=name)["Role"]["Arn"]


def make_function(name, file, role, queue, **variables):
    """The function, and the trigger that feeds it from its queue."""
    code = packed(file)
    try:
        functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler=f"{file.removesuffix('.py')}.handler",
            Code={"ZipFile": code},
            Timeout=2,
            Environment={"Variables": variables},
        )
        functions.get_waiter("function_active_v2").wait(FunctionName=name)
        functions.create_event_source_mapping(
            FunctionName=name,
            EventSourceArn=queue,
            BatchSize=10,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
    except functions.exceptions.ResourceConflictException:
        functions.update_function_code(FunctionName=name, ZipFile=code)


def packed(file):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.write(HERE / "functions" / file, file)
    return archive.getvalue()


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


if __name__ == "__main__":
    main()
