import Safetensors

/// What a statistics file says of itself: whose activations they are, over which text, and which inputs it holds.
///
/// The file is safetensors. For an input named `<m>` after its first module, of n features:
///
/// | tensor | type and shape | is |
/// |---|---|---|
/// | `<m>.moment` | F64 or F32 [n(n+1)/2] | Σ x xᵀ, lower triangle row by row: (0,0), (1,0), (1,1), (2,0), … |
/// | `<m>.absolute_sum` | F64 [n] | Σ \|x\| |
/// | `<m>.fourth_power_sum` | F64 [1] | Σ ‖x‖⁴ |
/// | `<m>.tokens` | I64 [1] | number of x |
///
/// The gradients g of the model's loss towards the m outputs of a module are stored in the same way, under
/// `<module>.output_gradient`, where the file has them.
///
/// and in `__metadata__`, as text: `lowrank_statistics` (the version, 1), `model_fingerprint`, `model_type`,
/// `precision` (f64 or f32), `inputs` (JSON: the input's name to the modules that read it), `gradients` (JSON: the
/// list of those names; missing where there are none) and `runs` (JSON: a list, see `CalibrationRun`).
public struct StatisticsHeader: Sendable, Equatable {
    /// In which type the moments are stored.
    public enum Precision: String, Sendable, CaseIterable {
        case f32
        case f64

        var dtype: TensorDType { self == .f64 ? .f64 : .f32 }
    }

    /// As `Checkpoint.fingerprint` gives it.
    public var modelFingerprint: String
    public var modelType: String?
    public var precision: Precision
    /// In the order of the model.
    public var inputs: [LayerInput]
    /// What is known of the way back, in the order of the model; see `LayerInput.gradients`.
    public var gradients: [LayerInput]
    public var runs: [CalibrationRun]

    public init(
        modelFingerprint: String, modelType: String?, precision: Precision, inputs: [LayerInput],
        gradients: [LayerInput] = [], runs: [CalibrationRun]
    ) {
        self.modelFingerprint = modelFingerprint
        self.modelType = modelType
        self.precision = precision
        self.inputs = inputs
        self.gradients = gradients
        self.runs = runs
    }

    /// Everything that the file has sums of.
    public var sums: [LayerInput] { inputs + gradients }

    static let version = "1"

    /// The tensors of an input.
    enum Part: String, CaseIterable {
        case moment
        case absoluteSum = "absolute_sum"
        case fourthPowerSum = "fourth_power_sum"
        case tokens

        func name(of input: LayerInput) -> String { "\(input.name).\(rawValue)" }
    }

    func declarations(of input: LayerInput) -> [TensorDeclaration] {
        let n = input.features
        return Part.allCases.map { part in
            let form: (dtype: TensorDType, count: Int) =
                switch part {
                case .moment: (precision.dtype, n * (n + 1) / 2)
                case .absoluteSum: (.f64, n)
                case .fourthPowerSum: (.f64, 1)
                case .tokens: (.i64, 1)
                }
            return TensorDeclaration(name: part.name(of: input), dtype: form.dtype, shape: [form.count])
        }
    }

    public var declarations: [TensorDeclaration] { sums.flatMap(declarations(of:)) }

    // MARK: Metadata

    public var metadata: [String: String] {
        var modules = JSONObject()
        for input in inputs { modules[input.name] = JSON(input.modules) }
        var metadata: [String: String] = [
            "lowrank_statistics": Self.version, "model_fingerprint": modelFingerprint, "precision": precision.rawValue,
        ]
        metadata["inputs"] = JSON.object(modules).text(pretty: false)
        metadata["runs"] = JSON.array(runs.map(\.json)).text(pretty: false)
        metadata["model_type"] = modelType
        if !gradients.isEmpty { metadata["gradients"] = JSON(gradients.map(\.name)).text(pretty: false) }
        return metadata
    }

    /// - Throws: `StatisticsError.notStatistics` where a key is missing or has no usable value.
    init(_ file: SafetensorsFile) throws(StatisticsError) {
        func refuse(_ reason: String) -> StatisticsError { .notStatistics(file: file.path, reason: reason) }
        func text(_ key: String) throws(StatisticsError) -> String {
            guard let text = file.metadata[key] else { throw refuse("its metadata has no \"\(key)\"") }
            return text
        }
        let version = try text("lowrank_statistics")
        guard version == Self.version else { throw refuse("it is of version \(version); this program reads 1") }
        modelFingerprint = try text("model_fingerprint")
        modelType = file.metadata["model_type"]
        let precisionText = try text("precision")
        guard let precision = Precision(rawValue: precisionText) else {
            throw refuse("its precision is \"\(precisionText)\"; expected f32 or f64")
        }
        self.precision = precision
        let names = try Self.json(try text("inputs"))?.object
        guard let names else { throw refuse("its \"inputs\" are no JSON object") }
        var inputs: [LayerInput] = []
        for (name, value) in names.entries {
            let modules = value.array?.compactMap(\.string) ?? []
            guard modules.first == name, modules.count == value.array?.count else {
                throw refuse("its \"inputs\" have no list of modules, the first its own name, for \(name)")
            }
            inputs.append(LayerInput(modules: modules, features: try Self.features(of: name, file)))
        }
        self.inputs = inputs
        var gradients: [LayerInput] = []
        if let text = file.metadata["gradients"] {
            guard let names = try Self.json(text)?.array else { throw refuse("its \"gradients\" are no JSON list") }
            for name in names {
                guard let name = name.string else { throw refuse("its \"gradients\" are no list of names") }
                gradients.append(LayerInput(modules: [name], features: try Self.features(of: name, file)))
            }
        }
        self.gradients = gradients
        let runs = try Self.json(try text("runs"))?.array?.map(CalibrationRun.init) ?? []
        guard !runs.contains(nil) else { throw refuse("its \"runs\" cannot be read") }
        self.runs = runs.compactMap { $0 }
    }

    private static func features(of name: String, _ file: SafetensorsFile) throws(StatisticsError) -> Int {
        let tensor = "\(name).\(Part.absoluteSum.rawValue)"
        guard let sums = file.tensor(named: tensor), sums.shape.count == 1 else {
            throw .badTensor(file: file.path, tensor: tensor, reason: "missing, or no vector")
        }
        return sums.elementCount
    }

    private static func json(_ text: String) throws(StatisticsError) -> JSON? {
        Array(text.utf8).withUnsafeBytes { try? JSON.parse($0) }
    }
}

/// One text that statistics were collected over, so that a person can tell what went in.
public struct CalibrationRun: Sendable, Equatable {
    /// SHA-256 of the ids behind the first of each sequence, little-endian int32: what `eval` prints for the same text.
    public var tokenSHA256: String
    /// Tokens read, the first of each sequence included.
    public var tokens: Int
    /// Windows or documents.
    public var windows: Int
    /// Tokens that a window has at most.
    public var context: Int
    /// auto, always or never.
    public var bos: String
    /// The line between documents; nil for windows.
    public var documents: String?
    /// Name and version.
    public var program: String

    public init(
        tokenSHA256: String, tokens: Int, windows: Int, context: Int, bos: String, documents: String?, program: String
    ) {
        self.tokenSHA256 = tokenSHA256
        self.tokens = tokens
        self.windows = windows
        self.context = context
        self.bos = bos
        self.documents = documents
        self.program = program
    }

    public var json: JSON {
        [
            "token_sha256": JSON(tokenSHA256), "tokens": JSON(tokens), "windows": JSON(windows),
            "context": JSON(context), "bos": JSON(bos), "documents": documents.map { JSON($0) } ?? .null,
            "program": JSON(program),
        ]
    }

    init?(_ json: JSON) {
        guard let hash = json["token_sha256"]?.string, let tokens = json["tokens"]?.int,
            let windows = json["windows"]?.int, let context = json["context"]?.int, let bos = json["bos"]?.string,
            let program = json["program"]?.string
        else { return nil }
        self.init(
            tokenSHA256: hash, tokens: tokens, windows: windows, context: context, bos: bos,
            documents: json["documents"]?.string, program: program)
    }
}
