// The driver's threads: who calls what where, and that all ends.
#include "io/aws/http.h"

#include <gtest/gtest.h>

#include <future>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/io/aws/s3_server.h"

namespace aid::io::aws {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::S3Server;
using test::ServerRequest;

class Http : public ::testing::Test {
 protected:
  void SetUp() override { server_.put("b", "k", std::string(1'000'000, 'x')); }
  HttpRequest get() const { return {.url = server_.url() + "/b/k"}; }

  S3Server server_;
};

class Receiver final : public HttpReceiver {
 public:
  explicit Receiver(std::function<void()> on_begin = [] {}) : on_begin_(std::move(on_begin)) {}
  bool begin(int, const Pairs&) override {
    on_begin_();
    return true;
  }
  void write(std::span<const std::byte> bytes) override {
    threads.insert(std::this_thread::get_id());
    received += bytes.size();
  }
  std::set<std::thread::id> threads;
  std::size_t received = 0;

 private:
  std::function<void()> on_begin_;
};

TEST_F(Http, ATransferDoesNotWaitForTheReceiverOfAnother) {
  std::promise<void> second_came;
  const std::shared_future<void> came = second_came.get_future().share();
  std::promise<HttpAnswer> ends[2];
  HttpDriver driver({});
  const auto start = [&](int i, std::function<void()> on_begin) {
    driver.start(get(), std::make_shared<Receiver>(std::move(on_begin)),
                 [&, i](HttpAnswer answer) { ends[i].set_value(std::move(answer)); });
  };
  start(0, [&] {
    if (came.wait_for(seconds(60)) != std::future_status::ready) throw std::runtime_error("it waits");
  });
  start(1, [&] { second_came.set_value(); });
  for (auto& end : ends) EXPECT_EQ(end.get_future().get().failure_text, "");
}

TEST_F(Http, ReceiversKeepToOneThreadEachAndAllEndsComeToTheDriversOwn) {
  constexpr int kTransfers = 200;
  std::vector<std::shared_ptr<Receiver>> receivers;
  for (int i = 0; i < kTransfers; ++i) receivers.push_back(std::make_shared<Receiver>());
  std::set<std::thread::id> threads;
  int left = kTransfers;
  std::promise<void> all;
  HttpDriver driver({});
  for (int i = 0; i < kTransfers; ++i) {
    driver.start(get(), receivers[static_cast<std::size_t>(i)], [&, i](HttpAnswer answer) {
      // No lock: this is one thread, and what the receiver saw on another came before.
      EXPECT_TRUE(driver.on_driver_thread());
      EXPECT_EQ(answer.failure, HttpFailure::none);
      const Receiver& receiver = *receivers[static_cast<std::size_t>(i)];
      EXPECT_EQ(receiver.received, 1'000'000u);
      EXPECT_EQ(receiver.threads.size(), 1u);
      threads.insert(receiver.threads.begin(), receiver.threads.end());
      if (--left == 0) all.set_value();
    });
  }
  all.get_future().get();
  EXPECT_GE(threads.size(), 2u);
}

// Holds the answers to all that comes while it lives.
class Held {
 public:
  explicit Held(S3Server& server) : server_(server) {
    server.set_fault([future = release_.get_future().share()](const ServerRequest&) {
      future.wait();
      return S3Server::Fault{};
    });
  }
  ~Held() {
    release_.set_value();
    server_.set_fault(nullptr);
  }

 private:
  S3Server& server_;
  std::promise<void> release_;
};

TEST_F(Http, WhatIsUnderWayAtTheEndIsCancelledAndSoIsWhatThatBegins) {
  const Held held(server_);
  int ends = 0;
  {
    HttpDriver driver({});
    for (int i = 0; i < 20; ++i) {
      driver.start(get(), nullptr, [&](const HttpAnswer& answer) {
        ++ends;
        EXPECT_EQ(answer.failure, HttpFailure::cancelled);
        driver.start(get(), nullptr, [&](const HttpAnswer& other) {
          ++ends;
          EXPECT_EQ(other.failure, HttpFailure::cancelled);
        });
      });
    }
  }
  EXPECT_EQ(ends, 40);
}

// Whatever its threads are doing at that moment.
TEST_F(Http, TheEndDoesNotWaitForAnything) {
  for (int i = 0; i < 500; ++i) HttpDriver({}).cancel_all();
}

TEST_F(Http, CancellingEndsWhatWasBegunBefore) {
  HttpDriver driver({});
  std::vector<std::future<HttpAnswer>> answers;
  {
    const Held held(server_);
    for (int i = 0; i < 20; ++i) {
      answers.push_back(std::async(std::launch::async, [&] { return driver.fetch(get()); }));
    }
    // fetch() has no other sign of having begun than that the server has it: cancelled until all of them end.
    for (auto& answer : answers) {
      for (int i = 0; i < 10'000 && answer.wait_for(milliseconds(1)) != std::future_status::ready; ++i) {
        driver.cancel_all();
      }
    }
  }
  for (auto& answer : answers) EXPECT_EQ(answer.get().failure, HttpFailure::cancelled);
  EXPECT_EQ(driver.fetch(get()).body.size(), 1'000'000u);
}

}  // namespace
}  // namespace aid::io::aws
