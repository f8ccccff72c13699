// Running ptxas (see Ptxas.h).
#include "tests/unit/emulator/Ptxas.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace attn::emulator::testing {

static std::string ptxas() {
  const char *usual = "/usr/local/cuda/bin/ptxas";
  return std::filesystem::exists(usual) ? usual : "ptxas";
}

bool hasPtxas() {
  static const bool found = std::system((ptxas() + " --version > /dev/null 2>&1").c_str()) == 0;
  return found;
}

std::string assemble(const std::string &text, const std::string &target) {
  std::filesystem::path directory = std::filesystem::path(::testing::TempDir()) / fmt::format("attn_ptxas_{}", getpid());
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "module.ptx") << text;
  std::string command = fmt::format("cd {} && {} -arch={} -O0 module.ptx -o /dev/null > log 2>&1", directory.string(), ptxas(), target);
  int status = std::system(command.c_str());
  std::ifstream log(directory / "log");
  std::string said(std::istreambuf_iterator<char>(log), {});
  std::filesystem::remove_all(directory);
  return status == 0 ? "" : said.empty() ? "ptxas failed without a word" : said.substr(0, 4000);
}

} // namespace attn::emulator::testing
