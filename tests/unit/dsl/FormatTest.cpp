// The formatter on every specification of the repository, and on random text of the whole grammar with blanks, line breaks
// and comments where they may stand: it keeps the tree and the comments, and what it made it leaves alone.
#include "dsl/Formatter.h"
#include "dsl/Parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

namespace attn::dsl {
namespace {

std::string messagesOf(const DiagnosticSink &diagnostics) {
  std::string text;
  for (const Diagnostic &diagnostic : diagnostics.all())
    text += std::to_string(diagnostic.range.begin) + ": " + message(diagnostic) + "\n";
  return text;
}

std::string treeOf(const std::string &text) {
  DiagnosticSink diagnostics;
  ast::File tree = parse(text, 0, diagnostics);
  EXPECT_FALSE(diagnostics.hasErrors()) << text << messagesOf(diagnostics);
  return ast::print(tree);
}

/// Without their blanks at the end, in order.
std::vector<std::string> commentsOf(const std::string &text) {
  DiagnosticSink diagnostics;
  std::vector<std::string> comments;
  for (SourceRange range : lex(text, 0, diagnostics).comments) {
    std::string comment(textOf(text, range));
    comments.push_back(comment.substr(0, comment.find_last_not_of(" \r\t") + 1));
  }
  return comments;
}

void expectKept(const std::string &text) {
  DiagnosticSink diagnostics, again;
  std::optional<std::string> formatted = formatText(text, 0, diagnostics);
  ASSERT_TRUE(formatted) << text << messagesOf(diagnostics);
  EXPECT_EQ(formatText(*formatted, 0, again), formatted) << "formatted twice, it differs\n" << text;
  EXPECT_EQ(treeOf(*formatted), treeOf(text)) << text << "\n---\n" << *formatted;
  EXPECT_EQ(commentsOf(*formatted), commentsOf(text)) << text << "\n---\n" << *formatted;
}

TEST(Format, KeepsEverySpecification) {
  std::size_t files = 0;
  for (const char *folder : {"examples", "tests", "dsl", "benchmarks"})
    for (const auto &entry : std::filesystem::recursive_directory_iterator(ATTN_SOURCE_DIR "/" + std::string(folder))) {
      if (entry.path().extension() != ".attn")
        continue;
      std::ifstream file(entry.path());
      std::stringstream text;
      text << file.rdbuf();
      DiagnosticSink diagnostics;
      parse(text.str(), 0, diagnostics);
      if (diagnostics.hasErrors())
        continue;                          // a test of messages
      ++files;
      expectKept(text.str());
      ASSERT_FALSE(testing::Test::HasFailure()) << entry.path();
    }
  EXPECT_GT(files, 40u);
}

/// Random text that parses.
class TextWriter {
public:
  explicit TextWriter(unsigned seed) : random(seed) {}

  std::string file() {
    text.clear();
    for (int items = 1 + below(3); items > 0; --items) {
      if (below(3) == 0)
        function();
      else
        attention();
      lineEnd();
    }
    return text;
  }

private:
  int below(int count) { return static_cast<int>(random() % static_cast<unsigned>(count)); }
  const char *oneOf(std::initializer_list<const char *> words) { return words.begin()[below(static_cast<int>(words.size()))]; }
  /// A token behind random blanks; inside brackets also behind line breaks and comments.
  void put(const std::string &token, bool mayBreak = false) {
    if (mayBreak || brackets > 0)
      switch (below(24)) {
      case 0: text += "\n"; break;
      case 1: text += " # inside\n"; break;
      case 2: text += "\n\n\t"; break;
      default: break;
      }
    bool needsBlank = !text.empty() && (std::isalnum(static_cast<unsigned char>(text.back())) || text.back() == '_') &&
                      (std::isalnum(static_cast<unsigned char>(token[0])) || token[0] == '_');
    bool joins = !text.empty() && std::ispunct(static_cast<unsigned char>(text.back())) && std::ispunct(static_cast<unsigned char>(token[0]));
    text += std::string(static_cast<std::size_t>(std::max(below(3), needsBlank || joins ? 1 : 0)), ' ') + token;
  }
  void lineEnd() { text += oneOf({"\n", "\n", "\n\n", " # at the end  \n", "\n\n\n# alone\n"}); }
  void open(const char *bracket) {
    text += bracket;                       // on the line of what it belongs to
    ++brackets;
  }
  void close(const char *bracket) {
    put(bracket);
    --brackets;
  }

  void operand(int depth) {
    switch (depth == 0 ? below(4) : below(9)) {
    case 0: return put(oneOf({"1", "0x5f", "0.5", "1e-6", "12"}));
    case 1: return put(oneOf({"true", "false"}));
    case 2:
    case 3: return put(oneOf({"q_idx", "kv_pos", "score", "x", "inf"}));
    case 4:
      put("(");
      ++brackets;
      expression(depth - 1);
      return close(")");
    case 5:
    case 6: return call(depth);
    case 7:
      put("t");
      open("[");
      expression(depth - 1);
      if (below(3) == 0) {
        put(",");
        expression(depth - 1);
        if (below(2))
          put(",");
      }
      return close("]");
    default:
      put(oneOf({"-", "-", "not"}));
      if (text.back() == 't') {            // `not` binds loosely: its operand stands alone
        text.erase(text.size() - 3);
        put("(");
        ++brackets;
        put("not");
        operand(depth - 1);
        return close(")");
      }
      return operand(depth - 1);
    }
  }

  void call(int depth) {
    put(oneOf({"f", "rope", "max"}));
    open("(");
    for (int i = below(3); i >= 0; --i) {
      if (i == 0 && below(3) == 0) {
        put("name");
        put("=");
      }
      if (below(6) == 0) {
        put("fn");
        open("(");
        put("c");
        close(")");
        put("=");
      }
      expression(depth - 1);
      if (i > 0 || below(4) == 0)
        put(",");
    }
    close(")");
  }

  void expression(int depth) {
    if (depth > 0 && below(6) == 0) {
      put("if");
      expression(depth - 1);
      put("then", true);
      expression(depth - 1);
      put("else", true);
      return expression(depth - 1);
    }
    operand(depth);
    static constexpr const char *kOperators[] = {"or", "and", "<", "==", "|", "^", "&", "<<", "+", "-", "*", "/", "//", "%", "**"};
    bool compared = false;
    for (int i = depth > 0 ? below(4) : 0; i > 0; --i) {
      std::string op = kOperators[below(std::size(kOperators))];
      if (op == "<" || op == "==") {
        if (compared)
          op = "+";                        // comparisons make no chain
        compared = true;
      } else if (op == "and" || op == "or") {
        compared = false;
      }
      put(op);
      if (op != "and" && op != "or" && below(12) == 0)
        text += " # operator\n";
      operand(depth - 1);
    }
  }

  void statement() {
    switch (below(4)) {
    case 0:
      put(oneOf({"head_dim", "dtype", "outputs"}));
      put(":");
      expression(1);
      if (below(3) == 0) {
        put(",");
        expression(1);
      }
      break;
    case 1:
      put("let");
      put("x");
      put("=");
      expression(3);
      break;
    default:
      put(oneOf({"mask", "score", "query"}));
      put("=");
      expression(3);
    }
    if (below(4) == 0)
      put(";");
    else
      lineEnd();
  }

  void function() {
    put("fn");
    put("f");
    open("(");
    put("a");
    put(",");
    put("b");
    put("=");
    expression(1);
    close(")");
    if (below(2)) {
      put("=");
      return expression(3);
    }
    put("{");
    lineEnd();
    put("let");
    put("y");
    put("=");
    expression(2);
    lineEnd();
    expression(2);
    lineEnd();
    put("}");
  }

  void attention() {
    put("attention");
    put("a");
    if (below(2)) {
      open("(");
      put("x: i32");
      put("in");
      put("1 .. 9");
      put("=");
      put("3");
      put(",");
      put("t: f32[kv_len, 4] ascending");
      close(")");
    }
    put("{");
    lineEnd();
    for (int statements = below(6); statements > 0; --statements)
      statement();
    put("}");
  }

  std::mt19937 random;
  std::string text;
  int brackets = 0;
};

TEST(Format, KeepsRandomText) {
  for (unsigned seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    expectKept(TextWriter(seed).file());
    if (testing::Test::HasFailure())
      return;
  }
}

} // namespace
} // namespace attn::dsl
