#include "io/aws/http.h"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "io/error.h"

namespace aid::io::aws {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kLongestBody = 64 << 20;
constexpr long kReceiveBuffer = 256 << 10;  // large pieces: fewer calls of recv() and of receivers
constexpr std::size_t kIdleHandles = 256;
// Of a driver. Four decrypt and write several GB a second; two are there on every machine, so that all work alike.
constexpr unsigned kFewestThreads = 2, kMostThreads = 4;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

struct Transfer {
  CURL* handle = nullptr;
  HttpRequest request;
  std::shared_ptr<HttpReceiver> receiver;
  HttpDone done;
  HttpAnswer answer;
  std::unique_ptr<curl_slist, FreeList> headers;
  std::string thrown;  // by the receiver or the body
  bool begun = false, receiving = false, too_long = false;
};
using TransferPtr = std::shared_ptr<Transfer>;

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line = trimmed({data, size * count});
  if (line.starts_with("HTTP/")) {  // a final answer may follow informational ones
    transfer.answer.headers.clear();
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    transfer.answer.headers.emplace_back(lower_case(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  }
  return size * count;
}

void begin_answer(Transfer& transfer) {
  if (std::exchange(transfer.begun, true)) return;
  long status = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
  transfer.answer.status = static_cast<int>(status);
  if (transfer.receiver != nullptr) {
    transfer.receiving = transfer.receiver->begin(transfer.answer.status, transfer.answer.headers);
  }
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  try {
    begin_answer(transfer);
    transfer.answer.received += bytes;
    if (transfer.receiving) {
      transfer.receiver->write(std::as_bytes(std::span(data, bytes)));
    } else if (transfer.answer.body.size() + bytes > kLongestBody) {
      transfer.too_long = true;
      return bytes == 0 ? 1 : 0;
    } else {
      transfer.answer.body.append(data, bytes);
    }
  } catch (const std::exception& error) {
    transfer.thrown = error.what();
    return bytes == 0 ? 1 : 0;
  }
  return bytes;
}

std::size_t on_read(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  try {
    return transfer.request.body->read(std::as_writable_bytes(std::span(data, size * count)));
  } catch (const std::exception& error) {
    transfer.thrown = error.what();
    return CURL_READFUNC_ABORT;
  }
}

int on_seek(void* user, curl_off_t offset, int origin) {
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Transfer*>(user)->request.body->rewind();
  return CURL_SEEKFUNC_OK;
}

HttpFailure failure_of(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return HttpFailure::none;
    case CURLE_ABORTED_BY_CALLBACK:
      return HttpFailure::cancelled;
    case CURLE_OPERATION_TIMEDOUT:
      return HttpFailure::timeout;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
      return HttpFailure::tls;
    default:
      return HttpFailure::connection;
  }
}

}  // namespace

// A thread and its transfers.
class HttpDriver::Loop {
 public:
  Loop(const Options& options, Loop* own);  // null: this is the driver's own
  ~Loop();

  // From any thread.
  void stop();  // every transfer has ended; before the destructor, while the driver can still be called
  void post(std::function<void()> task, milliseconds delay = milliseconds(0));
  bool is_this_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

  // On the driver's thread.
  void start(TransferPtr transfer);
  int load() const { return load_; }  // transfers that were started and are not done

  // On this one.
  void cancel_all();

 private:
  using Task = std::function<void()>;

  static int on_socket(CURL*, curl_socket_t socket, int what, void* user, void* known);
  static int on_timer(CURLM*, long milliseconds_left, void* user);

  void run();
  void run_tasks();
  void run_finished();
  void begin(TransferPtr transfer);
  void finish(TransferPtr transfer, CURLcode code);
  CURL* take_handle();
  void set_up(Transfer& transfer);
  int wait_milliseconds() const;

  const Options options_;
  Loop& own_;
  int load_ = 0;
  int epoll_ = -1, wake_ = -1;
  CURLM* multi_ = nullptr;
  std::mutex mutex_;  // guards `posted_`
  std::vector<std::pair<Clock::time_point, Task>> posted_;

  // The rest belongs to the thread.
  bool stopping_ = false;
  std::multimap<Clock::time_point, Task> waiting_;
  std::unordered_map<CURL*, TransferPtr> transfers_;
  std::vector<CURL*> idle_;
  Clock::time_point curl_timer_ = Clock::time_point::max();
  std::thread thread_;
};

HttpDriver::Loop::Loop(const Options& options, Loop* own) : options_(options), own_(own == nullptr ? *this : *own) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  multi_ = curl_multi_init();
  epoll_event event = {.events = EPOLLIN, .data = {.fd = wake_}};
  if (ready != CURLE_OK || multi_ == nullptr || epoll_ < 0 || wake_ < 0 ||
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
    throw Error("no network transfers can be started: this process has too many open files, or too little memory");
  }
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(options_.connections));
  thread_ = std::thread([this] { run(); });
}

void HttpDriver::Loop::stop() {
  post([this] { stopping_ = true; });
  thread_.join();
}

HttpDriver::Loop::~Loop() {
  if (thread_.joinable()) stop();
  for (CURL* handle : idle_) curl_easy_cleanup(handle);
  curl_multi_cleanup(multi_);
  ::close(wake_);
  ::close(epoll_);
}

void HttpDriver::Loop::post(Task task, milliseconds delay) {
  {
    const std::lock_guard lock(mutex_);
    posted_.emplace_back(Clock::now() + delay, std::move(task));
    // One wake-up is enough for all that is posted before the thread looks.
    if (posted_.size() > 1) return;
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
}

int HttpDriver::Loop::on_socket(CURL*, curl_socket_t socket, int what, void* user, void* known) {
  auto& loop = *static_cast<Loop*>(user);
  if (what == CURL_POLL_REMOVE) {
    ::epoll_ctl(loop.epoll_, EPOLL_CTL_DEL, socket, nullptr);
    return 0;
  }
  epoll_event event = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u),
                       .data = {.fd = socket}};
  if (::epoll_ctl(loop.epoll_, known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event) != 0) return -1;
  curl_multi_assign(loop.multi_, socket, &loop);
  return 0;
}

int HttpDriver::Loop::on_timer(CURLM*, long milliseconds_left, void* user) {
  static_cast<Loop*>(user)->curl_timer_ =
      milliseconds_left < 0 ? Clock::time_point::max() : Clock::now() + milliseconds(milliseconds_left);
  return 0;
}

int HttpDriver::Loop::wait_milliseconds() const {
  Clock::time_point next = curl_timer_;
  if (!waiting_.empty()) next = std::min(next, waiting_.begin()->first);
  if (next == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<milliseconds>(next - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 60'000));
}

void HttpDriver::Loop::run() {
  epoll_event events[64];
  int running = 0;
  for (;;) {
    run_tasks();
    if (stopping_) break;
    const int count = ::epoll_wait(epoll_, events, 64, wait_milliseconds());
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd == wake_) {
        std::uint64_t ignored;
        [[maybe_unused]] const ssize_t got = ::read(wake_, &ignored, sizeof ignored);
        continue;
      }
      const int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                       (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                       (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
      curl_multi_socket_action(multi_, events[i].data.fd, what, &running);
    }
    if (Clock::now() >= curl_timer_) {
      curl_timer_ = Clock::time_point::max();
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    run_finished();
  }
  // What is posted or waits is run once more, and what that starts is cancelled: every `done` is called.
  do {
    cancel_all();
    for (auto& [time, task] : waiting_) {
      std::lock_guard lock(mutex_);
      posted_.emplace_back(Clock::time_point(), std::move(task));
    }
    waiting_.clear();
    run_tasks();
  } while (!transfers_.empty() || !waiting_.empty());
}

void HttpDriver::Loop::run_tasks() {
  std::vector<std::pair<Clock::time_point, Task>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  const auto now = Clock::now();
  for (auto& [time, task] : posted) {
    if (time <= now || stopping_) {
      task();
    } else {
      waiting_.emplace(time, std::move(task));
    }
  }
  while (!waiting_.empty() && waiting_.begin()->first <= Clock::now()) {
    const Task task = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    task();
  }
}

void HttpDriver::Loop::run_finished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const auto found = transfers_.find(message->easy_handle);
    const CURLcode code = message->data.result;
    TransferPtr transfer = std::move(found->second);
    transfers_.erase(found);
    finish(std::move(transfer), code);
  }
}

void HttpDriver::Loop::finish(TransferPtr transfer, CURLcode code) {
  HttpAnswer& answer = transfer->answer;
  if (code == CURLE_OK && !transfer->begun) {  // no body came
    try {
      begin_answer(*transfer);
    } catch (const std::exception& error) {
      transfer->thrown = error.what();
    }
  }
  answer.failure = failure_of(code);
  if (code != CURLE_OK) answer.failure_text = curl_easy_strerror(code);
  if (transfer->too_long) answer.failure_text = "an answer of more than 64 MiB";
  if (!transfer->thrown.empty()) {
    answer.failure = HttpFailure::receiver;
    answer.failure_text = transfer->thrown;
  }
  curl_multi_remove_handle(multi_, transfer->handle);
  if (idle_.size() < kIdleHandles) {
    curl_easy_reset(transfer->handle);
    idle_.push_back(transfer->handle);
  } else {
    curl_easy_cleanup(transfer->handle);
  }
  // Nothing of the transfer stays here: what it holds belongs to the driver's thread again.
  auto done = [this, transfer = std::move(transfer)] {
    --load_;
    transfer->done(std::move(transfer->answer));
  };
  if (own_.is_this_thread()) return done();
  own_.post(std::move(done));
}

void HttpDriver::Loop::cancel_all() {
  auto transfers = std::move(transfers_);
  transfers_.clear();
  for (auto& [handle, transfer] : transfers) {
    transfer->thrown.clear();
    finish(std::move(transfer), CURLE_ABORTED_BY_CALLBACK);
  }
}

CURL* HttpDriver::Loop::take_handle() {
  if (idle_.empty()) return curl_easy_init();
  CURL* handle = idle_.back();
  idle_.pop_back();
  return handle;
}

void HttpDriver::Loop::set_up(Transfer& transfer) {
  CURL* const handle = transfer.handle;
  const HttpRequest& request = transfer.request;
  for (const auto& [name, value] : request.headers) {
    // A header without a value is written "name;" for libcurl, else it would be left out.
    const std::string line = value.empty() ? name + ";" : name + ": " + value;
    transfer.headers.reset(curl_slist_append(transfer.headers.release(), line.c_str()));
  }
  transfer.headers.reset(curl_slist_append(transfer.headers.release(), "Expect:"));
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 1L);
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, kReceiveBuffer);
  curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, kReceiveBuffer);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, transfer.headers.get());
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.total_timeout.count()));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, request.slowest);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                   static_cast<long>(std::max<milliseconds::rep>(1, request.stall_timeout.count() / 1000)));
  if (!options_.ca_bundle.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, options_.ca_bundle.c_str());
  if (request.body != nullptr) {
    request.body->rewind();  // a repeated request brings the body that the one before has read
    curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    curl_easy_setopt(handle, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(handle, CURLOPT_READDATA, &transfer);
    curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(handle, CURLOPT_SEEKDATA, &transfer);
  }
  if (request.method == "HEAD") curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void HttpDriver::Loop::start(TransferPtr transfer) {
  ++load_;
  if (is_this_thread()) return begin(std::move(transfer));
  post([this, transfer = std::move(transfer)]() mutable { begin(std::move(transfer)); });
}

void HttpDriver::Loop::begin(TransferPtr transfer) {
  CURL* const handle = transfer->handle = take_handle();
  set_up(*transfer);
  transfers_[handle] = std::move(transfer);
  curl_multi_add_handle(multi_, handle);
}

HttpDriver::HttpDriver(const Options& options) : own_(std::make_unique<Loop>(options, nullptr)) {
  const unsigned threads = std::clamp(std::thread::hardware_concurrency(), kFewestThreads, kMostThreads);
  for (unsigned i = 1; i < threads; ++i) others_.push_back(std::make_unique<Loop>(options, own_.get()));
}

HttpDriver::~HttpDriver() {
  std::promise<std::vector<std::unique_ptr<Loop>>> taken;
  own_->post([&] { taken.set_value(std::exchange(others_, {})); });  // from here on all is begun on the own one
  const std::vector<std::unique_ptr<Loop>> others = taken.get_future().get();
  for (const auto& other : others) other->stop();
  own_->stop();
}

bool HttpDriver::on_driver_thread() const { return own_->is_this_thread(); }

HttpDriver::Loop& HttpDriver::least_busy() {
  Loop* least = own_.get();
  for (const auto& other : others_) {
    if (other->load() < least->load()) least = other.get();
  }
  return *least;
}

void HttpDriver::start(HttpRequest request, std::shared_ptr<HttpReceiver> receiver, HttpDone done) {
  auto transfer = std::make_shared<Transfer>();
  transfer->request = std::move(request);
  transfer->receiver = std::move(receiver);
  transfer->done = std::move(done);
  auto task = [this, transfer = std::move(transfer)]() mutable { least_busy().start(std::move(transfer)); };
  if (on_driver_thread()) return task();
  own_->post(std::move(task));
}

void HttpDriver::post(std::function<void()> task, milliseconds delay) { own_->post(std::move(task), delay); }

void HttpDriver::cancel_all() {
  own_->post([this] {
    own_->cancel_all();
    for (const auto& other : others_) other->post([loop = other.get()] { loop->cancel_all(); });
  });
}

HttpAnswer HttpDriver::fetch(HttpRequest request) {
  std::promise<HttpAnswer> promise;
  start(std::move(request), nullptr, [&promise](HttpAnswer answer) { promise.set_value(std::move(answer)); });
  return promise.get_future().get();
}

}  // namespace aid::io::aws
