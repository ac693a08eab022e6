// A function on AWS's library for Go that makes use of what a sealed environment must allow.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do   string `json:"do"`
	Name string `json:"name"`
}

func threads() int {
	var all sync.WaitGroup
	var guard sync.Mutex
	sum := 0
	for number := 0; number < 64; number++ {
		all.Add(1)
		go func() {
			defer all.Done()
			syscall.Getpid() // in a thread of the system's own
			guard.Lock()
			defer guard.Unlock()
			sum++
		}()
	}
	all.Wait()
	return sum
}

func mapped() (string, error) {
	file, err := os.CreateTemp("", "mapped")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	if err := file.Truncate(4096); err != nil {
		return "", err
	}
	memory, err := syscall.Mmap(int(file.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return "", err
	}
	copy(memory, "mapped")
	content, err := os.ReadFile(file.Name())
	return string(content[:6]), err
}

func handle(ctx context.Context, asked event) (any, error) {
	switch asked.Do {
	case "fail":
		return nil, errors.New("as asked")
	case "panic":
		panic("as asked")
	case "exit":
		os.Exit(3)
	case "context":
		about, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return map[string]any{"arn": about.InvokedFunctionArn, "deadline": !deadline.IsZero(),
			"function": lambdacontext.FunctionName, "id": about.AwsRequestID}, nil
	}
	child, err := exec.Command("/bin/echo", "child").Output()
	if err != nil {
		return nil, err
	}
	memory, err := mapped()
	if err != nil {
		return nil, err
	}
	names, err := net.LookupHost(asked.Name)
	if err != nil {
		return nil, err
	}
	answer, err := http.Get("https://" + asked.Name + "/?Action=GetCallerIdentity&Version=2011-06-15")
	if err != nil {
		return nil, err
	}
	answer.Body.Close()
	fmt.Println("printed by Go")
	return map[string]any{"threads": threads(), "child": strings.TrimSpace(string(child)), "mapped": memory,
		"address": names[0], "status": answer.StatusCode}, nil
}

func main() {
	lambda.Start(handle)
}
