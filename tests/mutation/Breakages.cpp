#include "tests/mutation/Breakages.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace attn::mutation {

const std::vector<Breakage> &breakages() {
  static const std::vector<Breakage> list = {
#define ATTN_BREAKAGE(kernel, name, place, edit, ids) {kernel, name, place, edit, ids},
#include "tests/mutation/Breakages.def"
#undef ATTN_BREAKAGE
  };
  return list;
}

static std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

static std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == ';'))
    text.remove_suffix(1);
  return text;
}

/// Between commas outside of brackets.
static std::vector<std::string> listOf(std::string_view text) {
  std::vector<std::string> parts;
  int depth = 0;
  std::string part;
  for (char c : text) {
    depth += c == '[' || c == '{' || c == '(' ? 1 : c == ']' || c == '}' || c == ')' ? -1 : 0;
    if (c == ',' && depth == 0) {
      parts.emplace_back(trimmed(part));
      part.clear();
    } else {
      part += c;
    }
  }
  if (!trimmed(part).empty())
    parts.emplace_back(trimmed(part));
  return parts;
}

namespace {

/// One printed instruction in its parts.
struct Printed {
  explicit Printed(std::string_view line) {
    std::string_view rest = trimmed(line);
    if (rest.starts_with('@')) {
      const std::size_t end = rest.find(' ');
      guard = std::string(rest.substr(0, end)) + " ";
      rest = trimmed(rest.substr(end));
    }
    bare = rest;
    const std::size_t end = std::min(rest.find(' '), rest.size());
    opcode = rest.substr(0, end);
    operands = listOf(rest.substr(end));
  }

  std::string guard, bare, opcode;
  std::vector<std::string> operands;
};

} // namespace

/// `[base+8]` and 16: `[base+24]`.
static std::optional<std::string> displaced(const std::string &operand, std::string_view by) {
  long more = 0, old = 0;
  std::from_chars(by.data(), by.data() + by.size(), more);
  if (operand.size() < 3 || operand.front() != '[' || operand.back() != ']' || operand.find(',') != std::string::npos)
    return {};
  std::string_view base = std::string_view(operand).substr(1, operand.size() - 2);
  if (const std::size_t plus = base.find_first_of("+-"); plus != std::string_view::npos) {
    const std::size_t digits = base[plus] == '+' ? plus + 1 : plus;
    std::from_chars(base.data() + digits, base.data() + base.size(), old);
    base = base.substr(0, plus);
  }
  return fmt::format("[{}{:+}]", base, old + more);
}

/// The part of `{a, b}` (from 1) or of `[map, {a, b}]` (the map is 0); with `by`, the whole with that part replaced.
static std::optional<std::string> part(const std::string &operand, std::size_t which, std::optional<std::string_view> by) {
  std::string map;
  std::string_view inner = operand;
  if (inner.starts_with('[')) {
    const std::vector<std::string> both = listOf(inner.substr(1, inner.size() - 2));
    if (both.size() != 2)
      return {};
    map = both[0];
    inner = inner.substr(inner.find('{'));
    inner.remove_suffix(1);
  }
  if (!inner.starts_with('{'))
    return {};
  std::vector<std::string> parts = listOf(inner.substr(1, inner.rfind('}') - 1));
  parts.insert(parts.begin(), map);
  if (which >= parts.size() || (which == 0 && map.empty()))
    return {};
  if (!by)
    return parts[which];
  parts[which] = std::string(*by);
  const std::string list = fmt::format("{{{}}}", fmt::join(parts.begin() + 1, parts.end(), ", "));
  return map.empty() ? list : fmt::format("[{}, {}]", parts[0], list);
}

/// What stands for `{word}`; nothing where it does not fit.
static std::optional<std::string> expanded(const Printed &in, std::string_view word) {
  if (word == "self")
    return in.guard + in.bare;
  if (word == "bare")
    return in.bare;
  if (word == "guard")
    return in.guard;
  if (word == "op")
    return in.opcode;
  if (word.starts_with("op:")) {
    const std::size_t arrow = word.find('>');
    const std::string_view from = word.substr(3, arrow - 3), to = word.substr(arrow + 1);
    const std::size_t at = in.opcode.find(from);
    return at == std::string::npos ? std::nullopt : std::optional(std::string(in.opcode).replace(at, from.size(), to));
  }
  std::size_t index = 0;
  const char *next = std::from_chars(word.data(), word.data() + word.size(), index).ptr;
  const std::string_view rest = word.substr(static_cast<std::size_t>(next - word.data()));
  if (next == word.data() || index >= in.operands.size())
    return {};
  const std::string &operand = in.operands[index];
  if (rest.empty())
    return operand;
  if (rest == "|")
    return operand.find('|') == std::string::npos ? std::nullopt : std::optional(operand.substr(operand.find('|') + 1));
  if (rest == "*")
    return operand.find_first_of("+-,") != std::string::npos ? std::nullopt : std::optional(operand.substr(1, operand.size() - 2));
  if (rest[0] == '+')
    return displaced(operand, rest.substr(1));
  if (rest[0] != '.')
    return {};
  std::size_t which = 0;
  std::from_chars(rest.data() + 1, rest.data() + rest.size(), which);
  const std::size_t equal = rest.find('=');
  return part(operand, which, equal == std::string_view::npos ? std::nullopt : std::optional(rest.substr(equal + 1)));
}

static std::optional<std::string> expandedEdit(const Printed &in, std::string_view edit) {
  std::string out;
  while (!edit.empty()) {
    const std::size_t open = std::min(edit.find('{'), edit.size());
    out += edit.substr(0, open);
    edit.remove_prefix(open);
    if (edit.empty())
      break;
    const std::size_t close = edit.find('}');
    std::optional<std::string> value = expanded(in, edit.substr(1, close - 1));
    if (!value)
      return {};
    out += *value;
    edit.remove_prefix(close + 1);
  }
  return out;
}

std::vector<unsigned> placesOf(const Breakage &breakage, std::string_view text, const std::set<unsigned> &lines) {
  std::vector<unsigned> places;
  const std::vector<std::string_view> needles = split(breakage.place, '&'), all = split(text, '\n');
  for (unsigned line = 1; line <= all.size(); ++line)
    if ((lines.empty() || lines.count(line)) && std::all_of(needles.begin(), needles.end(), [&](std::string_view needle) {
          return all[line - 1].find(needle) != std::string_view::npos;
        }))
      places.push_back(line);
  return places;
}

std::string applied(const Breakage &breakage, std::string_view text, unsigned line) {
  static constexpr std::string_view kAtHand =
      "\t.reg .b32 %broken<8>;\n\t.reg .b64 %wide<4>;\n\t.reg .pred %flag<4>;\n\t.reg .pred %half, %first, %odd, %third;\n"
      "\t.reg .b32 %own<3>;\n\tmov.u32 %own0, %laneid;\n\tsetp.lt.u32 %half, %own0, 16;\n\tsetp.eq.u32 %first, %own0, 0;\n"
      "\tmov.u32 %own1, %tid.x;\n\tshr.u32 %own1, %own1, 5;\n\tsetp.eq.u32 %third, %own1, 2;\n\tand.b32 %own2, %own1, 1;\n"
      "\tsetp.ne.u32 %odd, %own2, 0;\n";
  const std::vector<std::string_view> all = split(text, '\n');
  std::size_t body = line - 1;
  while (body > 0 && all[body] != "{")
    --body;
  std::size_t first = body + 1; // behind the declarations
  while (first < all.size() && all[first].starts_with("\t.") && !all[first].starts_with("\t.loc"))
    ++first;
  const std::optional<std::string> edited = expandedEdit(Printed(all[line - 1]), breakage.edit);
  if (!edited)
    return {};
  std::string out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i == first)
      out += kAtHand;
    if (i != line - 1)
      out += fmt::format("{}\n", all[i]);
    else
      for (std::string_view statement : split(*edited, ';'))
        if (std::string_view text = trimmed(statement); !text.empty())
          out += fmt::format("\t{}{}\n", text, text.back() == ':' ? "" : ";");
  }
  return out;
}

} // namespace attn::mutation
