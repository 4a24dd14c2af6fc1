import Safetensors

/// The schemas that can be read, by name.
public struct OperatorLibrary: Sendable {
    private let types: [String: any LinearOperator.Type]

    public init(_ types: [any LinearOperator.Type]) {
        self.types = Dictionary(uniqueKeysWithValues: types.map { ($0.schema, $0) })
    }

    public var schemas: [String] { types.keys.sorted() }

    /// The type that reads a schema.
    public func type(of schema: String) -> (any LinearOperator.Type)? { types[schema] }

    /// The full name of the bias of a module stored in a schema; nil for a schema that is not known.
    public func biasName(of module: String, schema: String) -> String? {
        type(of: schema).map { "\(module).\($0.biasName)" }
    }

    /// The operator of a module by the schema that its entry names.
    public func read(_ source: OperatorSource) throws(OperatorError) -> any LinearOperator {
        let schema = try source.word("schema")
        guard let type = types[schema] else {
            throw .unknownSchema(module: source.module, schema: schema, known: schemas)
        }
        return try type.init(reading: source)
    }
}
