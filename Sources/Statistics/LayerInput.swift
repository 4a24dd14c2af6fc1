/// An input that one linear layer reads, or several: query, key and value share theirs, gate and up share theirs.
///
/// Which layers share follows from the architecture, never from comparing numbers.
public struct LayerInput: Sendable, Hashable {
    /// The modules that read it, in the order of the model; never empty.
    public let modules: [String]
    /// n.
    public let features: Int

    public init(modules: [String], features: Int) {
        precondition(!modules.isEmpty, "an input that no layer reads")
        self.modules = modules
        self.features = features
    }

    /// What reaches the outputs of a module of m features on the way back from the model's loss: gradients are summed
    /// and stored as inputs are, under the module's name with a suffix.
    public static func gradients(of module: String, outputs: Int) -> LayerInput {
        LayerInput(modules: [module + gradientSuffix], features: outputs)
    }

    static let gradientSuffix = ".output_gradient"

    /// The name of its first module, which names the input in files and tables.
    public var name: String { modules[0] }
}
