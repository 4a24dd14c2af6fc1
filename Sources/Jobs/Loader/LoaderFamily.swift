/// A family of models as the transformers library names its classes.
struct LoaderFamily {
    /// `model_type` of the dense model.
    let modelType: String
    /// What the names of its classes begin with.
    let stem: String
    /// The classes that can be opened, and the automatic classes that open them.
    let classes: [(auto: String, name: String)]

    /// The class of the configuration.
    var configuration: String { "LowRank\(stem)Config" }
    var file: String { "modeling_lowrank_\(modelType).py" }

    /// Whether a file is a loader that this program has written.
    static func isLoader(_ file: String) -> Bool { all.contains { $0.file == file } }

    init(_ modelType: String, _ stem: String, heads: [(auto: String, ending: String)]) {
        self.modelType = modelType
        self.stem = stem
        classes = [("AutoModel", "\(stem)Model")] + heads.map { ($0.auto, stem + $0.ending) }
    }

    static func named(_ modelType: String) -> LoaderFamily? { all.first { $0.modelType == modelType } }

    static let all = [
        causal("llama", "Llama"), causal("mistral", "Mistral"), causal("qwen2", "Qwen2"), causal("qwen3", "Qwen3"),
        causal("qwen3_moe", "Qwen3Moe"), causal("mixtral", "Mixtral"), causal("gpt_neox", "GPTNeoX"),
        LoaderFamily("gpt2", "GPT2", heads: [("AutoModelForCausalLM", "LMHeadModel")]),
        LoaderFamily(
            "bert", "Bert",
            heads: [
                ("AutoModelForMaskedLM", "ForMaskedLM"), ("AutoModelForPreTraining", "ForPreTraining"),
                ("AutoModelForSequenceClassification", "ForSequenceClassification"),
                ("AutoModelForTokenClassification", "ForTokenClassification"),
                ("AutoModelForQuestionAnswering", "ForQuestionAnswering"),
            ]),
    ]

    private static func causal(_ modelType: String, _ stem: String) -> LoaderFamily {
        LoaderFamily(modelType, stem, heads: [("AutoModelForCausalLM", "ForCausalLM")])
    }
}
