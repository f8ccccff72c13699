// Runs a fuzzer's corpus without libFuzzer:
//
//   fuzz_ptx PATH…                              each file, and the files below each directory
//   fuzz_ptx --mutate N --seed S [--save DIR] PATH…   then N mutations of them
//
// An input that crashes, or takes more than ten seconds, or brings the process above 2 GiB, fails the run and is written to
// DIR/failed.
#include "tests/fuzz/FuzzTarget.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace {
struct Arguments {
  std::size_t mutations = 0;
  unsigned seed = 1;
  std::filesystem::path save;
  std::vector<std::filesystem::path> paths;
};
constexpr unsigned kMostSeconds = 10;
constexpr long kMostKilobytes = 2 << 20;
constexpr std::size_t kMostBytes = 64 << 10;
} // namespace

static Arguments parse(int argc, char **argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    bool hasNext = i + 1 < argc;
    if (word == "--mutate" && hasNext)
      arguments.mutations = std::strtoull(argv[++i], nullptr, 10);
    else if (word == "--seed" && hasNext)
      arguments.seed = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
    else if (word == "--save" && hasNext)
      arguments.save = argv[++i];
    else
      arguments.paths.emplace_back(word);
  }
  return arguments;
}

static std::vector<std::string> read(const std::vector<std::filesystem::path> &paths) {
  std::vector<std::filesystem::path> files;
  for (const auto &path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto &entry : std::filesystem::recursive_directory_iterator(path))
      if (entry.is_regular_file())
        files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> inputs;
  for (const auto &file : files) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
      std::fprintf(stderr, "cannot read %s\n", file.c_str());
      std::exit(2);
    }
    inputs.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  return inputs;
}

static const std::string *current = nullptr;
static std::string failedPath;

/// Writes the current input and dies of the same signal. Calls only what a signal handler may.
static void keepInput(int signal) {
  if (int file = failedPath.empty() ? -1 : open(failedPath.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644); file >= 0) {
    (void)!write(file, current->data(), current->size());
    close(file);
  }
  std::signal(signal, SIG_DFL);
  raise(signal);
}

/// Runs one input; SIGALRM ends the process when it takes too long.
static void run(const std::string &input) {
  current = &input;
  alarm(kMostSeconds);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t *>(input.data()), input.size());
  alarm(0);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  if (usage.ru_maxrss > kMostKilobytes)
    attn::fuzz::fail("more than 2 GiB of memory");
}

namespace {
/// Changes texts as people and broken tools do: words dropped, doubled, swapped between files, bytes flipped, ends cut off.
class Mutator {
public:
  Mutator(const std::vector<std::string> &corpus, unsigned seed) : corpus(corpus), random(seed) {}

  std::string next() {
    std::string text = corpus[below(corpus.size())];
    for (std::size_t left = 1 + below(6); left > 0; --left)
      change(text);
    if (text.size() > kMostBytes)
      text.resize(kMostBytes);
    return text;
  }

private:
  std::size_t below(std::size_t bound) { return bound ? random() % bound : 0; }

  /// A run of letters, or of other characters, around a random place.
  std::pair<std::size_t, std::size_t> word(const std::string &text) {
    std::size_t begin = below(text.size()), end = begin;
    auto inWord = [&](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.'; };
    while (begin > 0 && inWord(text[begin - 1]))
      --begin;
    while (end < text.size() && inWord(text[end]))
      ++end;
    return {begin, std::max(end, begin + 1)};
  }
  std::pair<std::size_t, std::size_t> line(const std::string &text) {
    std::size_t at = below(text.size()), begin = text.rfind('\n', at), end = text.find('\n', at);
    return {begin == std::string::npos ? 0 : begin, end == std::string::npos ? text.size() : end};
  }

  void change(std::string &text) {
    if (text.empty()) {
      text = corpus[below(corpus.size())];
      return;
    }
    auto words = attn::fuzz::dictionary();
    std::size_t at = below(text.size());
    auto [begin, end] = below(2) ? word(text) : line(text);
    switch (below(10)) {
    case 0: text.erase(begin, end - begin); break;
    case 1: text.insert(at, text.substr(begin, end - begin)); break;
    case 2: text.insert(at, words[below(words.size())]); break;
    case 3: text.replace(begin, end - begin, words[below(words.size())]); break;
    case 4: text[at] = static_cast<char>(random()); break;
    case 5: text[at] = static_cast<char>(text[at] ^ (1 << below(7))); break;
    case 6: text.resize(at); break;
    case 7: replaceFromOther(text, begin, end); break;
    case 8: text.insert(at, std::to_string(static_cast<std::int64_t>(random()) >> below(60))); break;
    default:
      for (std::size_t i = below(200); i > 0; --i)
        text.insert(at, text.substr(begin, std::min<std::size_t>(end - begin, 40)));
    }
  }
  void replaceFromOther(std::string &text, std::size_t begin, std::size_t end) {
    const std::string &other = corpus[below(corpus.size())];
    if (other.empty())
      return;
    auto [from, to] = below(2) ? word(other) : line(other);
    text.replace(begin, end - begin, other.substr(from, to - from));
  }

  const std::vector<std::string> &corpus;
  std::mt19937_64 random;
};
} // namespace

int main(int argc, char **argv) {
  Arguments arguments = parse(argc, argv);
  std::vector<std::string> corpus = read(arguments.paths);
  if (corpus.empty()) {
    std::fprintf(stderr, "no inputs\n");
    return 2;
  }
  if (!arguments.save.empty())
    failedPath = (arguments.save / "failed").string();
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM})
    std::signal(signal, keepInput);
  auto start = std::chrono::steady_clock::now();
  for (const std::string &input : corpus)
    run(input);
  Mutator mutator(corpus, arguments.seed);
  for (std::size_t i = 0; i < arguments.mutations; ++i) {
    std::string input = mutator.next();
    run(input);
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%zu inputs and %zu mutations in %.1f s\n", corpus.size(), arguments.mutations, seconds);
  return 0;
}
