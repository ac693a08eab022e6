//! A function on AWS's runtime for Rust that makes use of what a sealed environment must allow.

use lambda_runtime::{run, service_fn, Error, LambdaEvent};
use serde_json::{json, Value};
use std::sync::{Arc, Mutex};

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let asked = event.payload["do"].as_str().unwrap_or("");
    match asked {
        "fail" => return Err("as asked".into()),
        "panic" => panic!("as asked"),
        "exit" => std::process::exit(3),
        "context" => {
            return Ok(json!({
                "arn": event.context.invoked_function_arn, "deadline": event.context.deadline > 0,
                "function": event.context.env_config.function_name, "id": event.context.request_id,
            }))
        }
        _ => {}
    }
    let sum = Arc::new(Mutex::new(0));
    let threads: Vec<_> = (0..64)
        .map(|_| {
            let sum = sum.clone();
            std::thread::spawn(move || *sum.lock().unwrap() += 1)
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let child = tokio::process::Command::new("/bin/echo").arg("child").output().await?;
    let name = event.payload["name"].as_str().unwrap_or("localhost");
    let address = tokio::net::lookup_host((name, 443)).await?.next().ok_or("no address")?;
    // No TLS of its own: curl stands for any program that a function brings.
    let url = format!("https://{name}/?Action=GetCallerIdentity&Version=2011-06-15");
    let status = tokio::process::Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &url])
        .output()
        .await?;
    println!("printed by Rust");
    let sum = *sum.lock().unwrap();
    Ok(json!({
        "threads": sum, "child": String::from_utf8(child.stdout)?.trim(), "address": address.ip().to_string(),
        "status": String::from_utf8(status.stdout)?.parse::<u16>()?,
    }))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}
