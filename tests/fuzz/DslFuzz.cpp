// The language's front end: any bytes give typed attentions or messages whose places lie in the text, soon and in little
// memory; what the formatter gives, it leaves as it is.
#include "dsl/Formatter.h"
#include "dsl/Parser.h"
#include "dsl/Prelude.h"
#include "dsl/Program.h"
#include "dsl/Sema.h"
#include "tests/fuzz/FuzzTarget.h"

#include <cstdio>
#include <cstdlib>

using namespace attn;
using namespace attn::dsl;

namespace attn::fuzz {

void fail(const std::string &what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

std::span<const std::string_view> dictionary() {
  static constexpr std::string_view kWords[] = {
      "attention ", "def ", "import ", "let ", "if ", " then ", " else ", " and ", " or ", "not ", "mask = ", "score = ", "query = ", "key = ", "value = ",
      "q_heads: 2", "kv_heads: any", "head_dim: 64", "head_dim_v: 32", "dtype: bf16", "outputs: out, lse", "layout: bhsd", "softmax_scale: none", "grad: query",
      "causal()", "window(", "rope(query, q_pos)", "sink", "q_idx", "kv_idx", "q_len", "kv_len", "batch", "sum(", "map(", "vec(", "rotate(", "exp(", "min(",
      "max(", "where", "in 0 .. 8", "ascending", "tensor", "param ", "f32", "i32", "bit", "[q_len, kv_len]", "1e308", "9223372036854775808", "0x7fffffff", "=> ",
      "->", "==", "<=", "**", "//", "%", "#", "\"", "(", ")", "[", "]", "{", "}", ";", ",", ":", "..", "\n", "\0"};
  return kWords;
}

} // namespace attn::fuzz

static void checkPlaces(const SourceFiles &files, const DiagnosticSink &diagnostics) {
  auto inside = [&](SourceRange range) { return range.file < files.count() && range.begin <= range.end && range.end <= files[range.file].text.size(); };
  for (const Diagnostic &diagnostic : diagnostics.all()) {
    if (message(diagnostic).empty() || !inside(diagnostic.range))
      fuzz::fail("a message outside the text: " + message(diagnostic));
    if (files.positionOf(diagnostic.range).line == 0)
      fuzz::fail("a message without a line: " + message(diagnostic));
    for (const DiagnosticNote &note : diagnostic.notes)
      if (!inside(note.range))
        fuzz::fail("a note outside the text: " + message(note));
    for (const Fix &fix : diagnostic.fixes)
      if (!inside(fix.range))
        fuzz::fail("a fix outside the text: " + message(diagnostic));
  }
}

static void checkFormat(std::string_view text) {
  DiagnosticSink diagnostics, second;
  std::optional<std::string> formatted = formatText(text, 0, diagnostics);
  if (!formatted) {
    if (!diagnostics.hasErrors())
      fuzz::fail("the formatter refuses without a message");
    return;
  }
  std::optional<std::string> again = formatText(*formatted, 0, second);
  if (!again || *again != *formatted)
    fuzz::fail("formatted twice, it differs:\n" + *formatted + "\n---\n" + again.value_or("(refused)"));
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  SourceFiles files;
  DiagnosticSink diagnostics;
  std::uint32_t main = files.add("fuzz.attn", text), prelude = files.add("prelude.attn", preludeText(), /*isPrelude=*/true);
  Program program(files, diagnostics);
  program.load(main, prelude, [](std::string_view, std::string_view) { return std::nullopt; });
  if (!program.hasSyntaxErrors()) {
    Defines defines;
    for (const ast::Attention &attention : program.mainTree().attentions)
      if (!Sema(program, attention, defines, diagnostics).run() && !diagnostics.hasErrors())
        fuzz::fail("an attention is refused without a message");
  } else if (!diagnostics.hasErrors()) {
    fuzz::fail("a syntax error without a message");
  }
  checkPlaces(files, diagnostics);
  (void)applyFixes(text, main, diagnostics);
  checkFormat(text);
  return 0;
}
