// Reads lines and prints for each whether the bridge would show it to a vendor library as a front address.
#include <cstdio>
#include <string>

#include "front-address.hpp"

int main() {
  std::string line;
  for (int c; (c = std::getchar()) != EOF;) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    std::puts(frontAddress::wellFormed(line) ? "yes" : "no");
    line.clear();
  }
}
