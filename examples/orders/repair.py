"""Lets the mail function know the domain that it did not, and sends the dead letters back to where they came from."""

import boto3
from order import dead, said, shown, sqs, wait_until

functions = boto3.client("lambda")


def main():
    functions.update_function_configuration(
        FunctionName="orders-mail", Environment={"Variables": {"DOMAINS": "example.com,example.org"}}
    )
    functions.get_waiter("function_updated_v2").wait(FunctionName="orders-mail")

    # The redrive: SQS moves the messages itself, while this script may go home.
    url = sqs.get_queue_url(QueueName="orders-mail-dead")["QueueUrl"]
    source = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.start_message_move_task(SourceArn=source)

    wait_until(lambda: "cyd 1" in said("orders-mail", "mailed") and dead() == 0)
    print("mailed:", shown(said("orders-mail", "mailed")))
    print("dead:   none")


if __name__ == "__main__":
    main()
