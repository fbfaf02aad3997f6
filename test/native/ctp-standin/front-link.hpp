// The stand-in's connection to the scripted front: what a vendor library does below its API, in as little code as can
// misbehave in all the ways known of the real ones. Lines of words separated by spaces travel both ways; bytes other
// than [A-Za-z0-9_.:=+-] are %XX, and an empty word is `%`. One thread connects, reads and calls back.
//
// Environment: STANDIN_EAGER=1 reports the connection at once instead of after the front's `welcome`; STANDIN_RETRY_MS
// between connection attempts (default 20, 0 is a storm).
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace standin {

using Words = std::vector<std::string>;

std::string encoded(const std::string& text);

class FrontLink {
 public:
  struct Handlers {
    std::function<void()> connected;
    std::function<void(int)> disconnected;
    std::function<void(const Words&)> command;
  };

  /// `greeting` is the first line sent on each connection.
  FrontLink(std::string greeting, Handlers handlers);

  /// As the genuine library: aborts by an exception when the files of the flow directory can't be opened.
  static void openFlowFiles(const char* flowPath);

  void registerFront(const char* address) { fronts.emplace_back(address); }
  void init();
  /// False when not connected.
  bool send(const std::string& line);
  bool isConnected() const { return announced.load(); }
  /// What the function named answers next, as scripted by `return NAME CODE|throw`; otherwise 0, or -1 when not
  /// connected.
  int returnCode(const std::string& function);

 private:
  void run();
  bool dial(const std::string& address);
  void readLines();
  void obey(const Words& words);
  void drop(int reason);

  std::string greeting;
  Handlers handlers;
  std::vector<std::string> fronts;
  std::mutex sending;
  std::atomic<int> socketFd{-1};
  std::atomic<bool> announced{false};
  std::mutex scripted;
  std::vector<std::pair<std::string, int>> returns;
};

}  // namespace standin
