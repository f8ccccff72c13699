// The flow: definitions from top to bottom, their defaults, what each may use, and the reading order.
#include "dsl/Sema.h"

#include <limits>

namespace attn::dsl {

static constexpr std::size_t at(FlowName name) { return static_cast<std::size_t>(name); }

/// Where the default of `score` multiplies rows of two lengths: the definition that changed one of them.
ExprRef Sema::refuseLengths(ExprRef query, ExprRef key) {
  FlowName changed = query->type.length != spec->properties.headDim ? FlowName::Query : FlowName::Key;
  int version = flow[at(changed)].version;
  report(DiagnosticKind::ScoreLengths, version < 0 ? attention.name.range : records[version].statement->name.range,
         {std::to_string(query->type.length), std::to_string(key->type.length)});
  return nullptr;
}

/// The default, made from the current meanings of what it uses.
ExprRef Sema::defaultOf(FlowName name) {
  const Properties &own = spec->properties;
  switch (name) {
  case FlowName::QPos:
    return builder.binary(BinaryOp::Sub,
                          builder.binary(BinaryOp::Add, builder.index(IndexKind::QIdx), builder.size("kv_len", true)),
                          builder.size("q_len", true));
  case FlowName::KvPos: return builder.index(IndexKind::KvIdx);
  case FlowName::Query: return scaledInput(InputKind::Query);
  case FlowName::Key: return scaledInput(InputKind::Key);
  case FlowName::Value: return scaledInput(InputKind::Value);
  case FlowName::Mask: return builder.boolean(true);
  case FlowName::Score: {
    ExprRef scale = own.softmaxScale ? builder.number(*own.softmaxScale, Type::f32()) : builder.softmaxScale();
    ExprRef query = useFlow(FlowName::Query, false), key = useFlow(FlowName::Key, false);
    if (query && key && query->type.isVector() && key->type.isVector() && query->type.length != key->type.length)
      return refuseLengths(query, key);
    return builder.binary(BinaryOp::Mul, builder.dot(query, key), scale);
  }
  case FlowName::Probs: return builder.softmax(useFlow(FlowName::Score, false), nullptr);
  case FlowName::Out: {
    useFlow(FlowName::Probs, false);
    ExprRef value = useFlow(FlowName::Value, false);
    usesWeightedSum = true;
    return value ? builder.weightedSum(value->type.length) : nullptr;
  }
  }
  return nullptr;
}

/// Whether two defaults of one name were made from the same operands: `dot(query, key)` alone or scaled, a softmax of
/// one score, the weighted sum.
static bool isSameDefault(ExprRef a, ExprRef b) {
  if (a == b)
    return true;
  if (a->kind != b->kind || !(a->type == b->type) || a->operands.size() != b->operands.size())
    return false;
  if (a->kind == ExprKind::Dot || a->kind == ExprKind::Softmax)
    return a->operands == b->operands;
  return a->operands.empty() || isSameDefault(a->operands[0], b->operands[0]);
}

/// The current meaning of a name of the flow, noted as used by the current statement: `byName`, or by a default.
ExprRef Sema::useFlow(FlowName name, bool byName) {
  Flow &entry = flow[at(name)];
  current->used.insert({name, entry.version});
  if (byName)
    current->named.set(at(name));
  if (entry.version >= 0) {
    const StatementRecord &definition = records[entry.version];
    current->builtOn.insert(entry.version);
    current->builtOn.insert(definition.builtOn.begin(), definition.builtOn.end());
    return entry.value;
  }
  // Made anew where its own operands have changed since; else the same node, so that uses share it.
  SourceRange before = currentRange;
  ExprRef made = nullptr;
  bool composite = name == FlowName::Score || name == FlowName::Probs || name == FlowName::Out;
  if (!composite) {
    if (!defaults[at(name)])
      defaults[at(name)] = defaultOf(name);
    made = defaults[at(name)];
  } else {
    made = defaultOf(name);
    ExprRef &known = defaults[at(name)];
    if (known && made && isSameDefault(known, made))
      made = known;
    known = made;
  }
  place(before);
  return made;
}

void Sema::analyzeStatement(int number) {
  const ast::Statement &statement = attention.statements[number];
  StatementRecord &record = records[number];
  record.statement = &statement;
  if (statement.kind == ast::StatementKind::Property)
    return;
  current = &record;
  ExprRef value = evaluateExpr(*statement.values[0], outerScope);
  if (statement.kind == ast::StatementKind::Let) {
    if (!refuseKnownName(statement.name, &outerScope))
      lets[statement.name.text] = {value, number, false};
    return;
  }
  std::optional<FlowName> name = findFlowName(statement.name.text);
  if (!name) {
    if (!findPropertyName(statement.name.text))   // else collectStatements has said so
      reportUnknown(DiagnosticKind::UnknownDefinition, statement.name, flowNames());
    return;
  }
  analyzeDefinition(number, *name, value);
}

void Sema::analyzeDefinition(int number, FlowName name, ExprRef value) {
  StatementRecord &record = records[number];
  SourceRange range = record.statement->values[0]->range;
  checkReadingOrder(number, name);
  if (value)
    value = checkDefinition(name, value, record, range);
  flow[at(name)] = {value, number};
}

/// Refuses to drop an earlier definition, and to redefine below a statement that used the old meaning.
void Sema::checkReadingOrder(int number, FlowName name) {
  const StatementRecord &record = records[number];
  const Flow &old = flow[at(name)];
  std::string text(spelling(name));
  if (old.version >= 0 && !record.builtOn.count(old.version)) {
    Diagnostic &diagnostic = report(DiagnosticKind::DefinitionDropped, record.statement->name.range, {text});
    diagnostic.note(DiagnosticKind::FirstHere, records[old.version].statement->name.range, {text});
    if (name == FlowName::Mask)
      diagnostic.help(record.statement->values[0]->range, "mask and " + operandText(*record.statement->values[0]));
    return;
  }
  for (int i = 0; i < number; ++i) {
    const StatementRecord &earlier = records[i];
    if (!earlier.used.count({name, old.version}) || record.builtOn.count(i))
      continue;
    report(DiagnosticKind::DefinedBelowUse, record.statement->name.range, {text, earlier.statement->name.text})
        .note(DiagnosticKind::UsedHere, earlier.statement->name.range, {text});
    return;
  }
}

static std::string mayUseText(FlowName name) {
  switch (name) {
  case FlowName::QPos:
  case FlowName::KvPos: return "indices, lengths, parameters and positions of its own row";
  case FlowName::Query:
  case FlowName::Key:
  case FlowName::Value: return "indices, positions, parameters and `query`, `key`, `value`";
  case FlowName::Mask: return "indices, positions and parameters";
  case FlowName::Score: return "indices, positions, parameters, `query`, `key`, `value`, `mask` and `score`";
  case FlowName::Probs: return "what stands before it in the flow";
  case FlowName::Out: return "what belongs to the query row";
  }
  return {};
}

/// The first name of the flow that a definition may not use; each may use itself.
bool Sema::checkMayUse(FlowName name, const StatementRecord &record, SourceRange range) {
  unsigned last = 0;
  switch (name) {
  case FlowName::QPos:
  case FlowName::KvPos: last = at(FlowName::KvPos); break;
  case FlowName::Query:
  case FlowName::Key:
  case FlowName::Value: last = at(FlowName::Value); break;
  case FlowName::Mask: last = at(FlowName::KvPos); break;
  default: last = at(name); break;
  }
  for (unsigned i = 0; i < kFlowNameCount; ++i) {
    FlowName used = static_cast<FlowName>(i);
    bool ofPoint = name == FlowName::Out && (used == FlowName::Probs || used == FlowName::Score || used == FlowName::Mask);
    if (!record.named.test(i) || used == name || (i <= last && !ofPoint))
      continue;
    report(DiagnosticKind::MayNotUse, range, {std::string(spelling(name)), std::string(spelling(used)), mayUseText(name)});
    return false;
  }
  return true;
}

/// What the value itself depends on.
bool Sema::checkDependence(FlowName name, ExprRef value, SourceRange range) {
  const Domain &domain = value->domain;
  auto refuse = [&](DiagnosticKind kind, std::string what) {
    report(kind, range, {std::string(spelling(name)), std::move(what)});
    return false;
  };
  if (domain.weight && name != FlowName::Probs) {
    refuse(DiagnosticKind::OnlyIn, "`softmax` and `normalize` stand only in `probs`");
    if (name == FlowName::Score)
      diagnostics.last().note(DiagnosticKind::HelpWeight, range);
    return false;
  }
  if (domain.random && name != FlowName::Probs)
    return refuse(DiagnosticKind::OnlyIn, "`dropout` stands only in `probs`");
  if (domain.scan && name != FlowName::Score && name != FlowName::Probs)
    return refuse(DiagnosticKind::OnlyIn, "`suffix_sum` stands only in `score` and `probs`");
  bool isPosition = name == FlowName::QPos || name == FlowName::KvPos;
  if (domain.inputs && (isPosition || name == FlowName::Mask))
    return refuse(DiagnosticKind::OnlyIn, "it uses an input, but may use only " + mayUseText(name));
  if (domain.column && (name == FlowName::QPos || name == FlowName::Out))
    return refuse(DiagnosticKind::WrongRow, "key");
  if (domain.row && name == FlowName::KvPos)
    return refuse(DiagnosticKind::WrongRow, "query");
  return true;
}

ExprRef Sema::checkDefinition(FlowName name, ExprRef value, const StatementRecord &record, SourceRange range) {
  if (!checkMayUse(name, record, range) || !checkDependence(name, value, range))
    return nullptr;
  place(range);
  auto refuse = [&](std::string wanted) {
    report(DiagnosticKind::DefinitionType, range, {std::string(spelling(name)), spelling(value->type), std::move(wanted)});
    return nullptr;
  };
  switch (name) {
  case FlowName::QPos:
  case FlowName::KvPos: return value->type.isNumber() ? value : refuse("i32 or f32");
  case FlowName::Mask:
    if (value->type.kind != Type::Kind::Bool) {
      refuse("bool");
      if (value->type.isNumber())
        helpMask(*record.statement->values[0], value);
      return nullptr;
    }
    if (!ExprBuilder::isAlwaysFalse(value))
      return value;
    report(DiagnosticKind::MaskHidesAll, range).note(DiagnosticKind::HelpMask, range);
    return nullptr;
  case FlowName::Score: {
    bool usesVectors = record.named.test(at(FlowName::Score)) || record.named.test(at(FlowName::Query)) ||
                       record.named.test(at(FlowName::Key));
    if (value->type.kind == Type::Kind::Bool) {
      refuse("a number");
      if (!usesVectors) // else no mask
        diagnostics.last().note(DiagnosticKind::HelpHides, range, {std::string(textAt(range))});
      return nullptr;
    }
    if (!usesVectors) {
      report(DiagnosticKind::ScoreIgnoresInputs, range).help(range, "score + " + operandText(*record.statement->values[0]));
      return nullptr;
    }
    return value->type.isNumber() ? builder.toF32(value) : refuse("a number");
  }
  case FlowName::Probs: return value->type.isNumber() ? builder.toF32(value) : refuse("a number");
  default: break;
  }
  if (!value->type.isVector())
    return refuse("a vector");
  if (value->kind == ExprKind::Vec && value->domain.isPoint()) {
    report(DiagnosticKind::BothRows, range, {"`" + std::string(spelling(name)) + "`"});
    return nullptr;
  }
  if (name == FlowName::Out && flow[at(FlowName::Value)].value &&
      value->type.length != flow[at(FlowName::Value)].value->type.length)
    return refuse(spelling(flow[at(FlowName::Value)].value->type) + ", as long as `value`");
  return value;
}

/// The Softmax or Normalize in `probs`, which may only be multiplied.
bool Sema::findWeight(ExprRef probs, SourceRange range) {
  Weights &weights = spec->weights;
  weights.kind = WeightKind::Direct;
  if (!probs->domain.weight)
    return true;
  ExprRef node = probs;
  while (node->kind != ExprKind::Softmax && node->kind != ExprKind::Normalize) {
    bool product = node->kind == ExprKind::Binary && node->binary == BinaryOp::Mul;
    bool quotient = node->kind == ExprKind::Binary && node->binary == BinaryOp::Div && !node->operands[1]->domain.weight;
    bool single = (node->kind == ExprKind::Unary && node->unary == UnaryOp::Neg) || node->kind == ExprKind::Dropout;
    unsigned carriers = 0;
    for (ExprRef operand : node->operands)
      carriers += operand->domain.weight;
    if (carriers != 1 || !(product || quotient || single)) {
      Diagnostic &diagnostic = report(DiagnosticKind::WeightUse, range);
      if (carriers > 1)
        diagnostic.note(DiagnosticKind::HelpOneWeight, range);
      return false;
    }
    bool second = node->operands.size() > 1 && node->operands[1]->domain.weight;
    node = node->operands[second ? 1 : 0];
  }
  for (ExprRef operand : node->operands)
    if (operand->domain.weight) {
      report(DiagnosticKind::WeightUse, range);
      return false;
    }
  weights.weight = node;
  weights.argument = node->operands[0];
  weights.kind = node->kind == ExprKind::Softmax ? WeightKind::Softmax : WeightKind::Normalize;
  if (weights.kind == WeightKind::Normalize)
    weights.by = node->operands[1];
  else if (node->operands.size() > 1)
    weights.sink = node->operands[1];
  return true;
}

/// The final meanings.
void Sema::finish() {
  StatementRecord last;
  current = &last;
  place(attention.name.range);
  const Flow &probs = flow[at(FlowName::Probs)], &out = flow[at(FlowName::Out)], &score = flow[at(FlowName::Score)];
  spec->query = useFlow(FlowName::Query, false);
  spec->key = useFlow(FlowName::Key, false);
  spec->value = useFlow(FlowName::Value, false);
  spec->mask = useFlow(FlowName::Mask, false);
  spec->queryIsDefined = flow[at(FlowName::Query)].version >= 0;
  spec->keyIsDefined = flow[at(FlowName::Key)].version >= 0;
  spec->valueIsDefined = flow[at(FlowName::Value)].version >= 0;
  bool usesScore = probs.version < 0;
  if (!usesScore)
    for (auto [name, version] : records[probs.version].used)
      usesScore |= name == FlowName::Score;
  for (int built : probs.version < 0 ? std::set<int>() : records[probs.version].builtOn)
    for (auto [name, version] : records[built].used)
      usesScore |= name == FlowName::Score;
  if (usesScore)
    spec->score = useFlow(FlowName::Score, false);
  else if (score.version >= 0)
    report(DiagnosticKind::DefinitionUnused, records[score.version].statement->name.range, {"score", "probs"});
  spec->probs = useFlow(FlowName::Probs, false);
  bool outIgnoresSum = out.version >= 0 && !usesWeightedSum;
  spec->out = useFlow(FlowName::Out, false);
  if (outIgnoresSum)
    report(DiagnosticKind::OutIgnoresSum, records[out.version].statement->values[0]->range);
  spec->out = storedOut(spec->out);
  if (failed() || !spec->probs || !spec->out)
    return;
  SourceRange range = probs.version < 0 ? attention.name.range : records[probs.version].statement->values[0]->range;
  if (!findWeight(spec->probs, range))
    return;
  Properties &own = spec->properties;
  if (spec->weights.kind == WeightKind::Softmax)
    return;
  auto outputs = properties.find(PropertyName::Outputs);
  if (outputs == properties.end())
    own.outputLse = false;
  else if (own.outputLse || own.outputMaxScore)
    report(DiagnosticKind::OutputNeedsSoftmax, outputs->second->range, {own.outputLse ? "lse" : "max_score"});
}

} // namespace attn::dsl
