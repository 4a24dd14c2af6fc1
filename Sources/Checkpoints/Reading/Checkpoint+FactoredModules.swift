import Safetensors

/// A schema whose matrix is a product of two thin ones, as far as names and shapes of its tensors tell: what is needed
/// to plan a further truncation. Operators check the rest when they read the tensors.
private struct FactoredSchema: Sendable {
    let name: String
    /// Behind the module's name.
    let tensors: [String]
    let biases: [String]
    /// (out, in) from the shapes of the tensors.
    let sides: @Sendable ([[Int]]) -> (out: Int, in: Int)

    static let all = [
        FactoredSchema(
            name: "ABLinear", tensors: ["BLinear.weight", "ALinear.weight"], biases: ["ALinear.bias", "bias"],
            sides: { ($0[1][0], $0[0][1]) }),
        FactoredSchema(
            name: "PivotLinear", tensors: ["pivot.weight", "rest.weight", "pivot.index"], biases: ["bias"],
            sides: { ($0[0][0] + $0[1][0], $0[0][1]) }),
    ]
}

extension Checkpoint {
    /// The linear layers that can be compressed: the dense ones, and those that are stored as two thin factors and can
    /// be truncated further; by layer.
    public var compressibleModules: [LinearModule] {
        let factored = compressedModules.compactMap(factoredModule)
        if factored.isEmpty { return linearModules }
        // Dense layers of a block come first; in front of both stands what `linearModules` has in front.
        return (linearModules + factored).enumerated()
            .sorted { ($0.element.layer ?? .max, $0.offset) < ($1.element.layer ?? .max, $1.offset) }
            .map(\.element)
    }

    /// Numbers of the dense model, as far as it is known: factors count as the matrix that they stand for.
    public var denseParameterCount: Int {
        compressedModules.compactMap(factoredModule).reduce(parameterCount - factorPositionCount) {
            $0 + $1.parameters - $1.storedParameters
        }
    }

    /// Whole numbers among the factors that are positions and no parameters.
    public var factorPositionCount: Int {
        compressedModules.compactMap(factoredModule).reduce(0) { $0 + ($1.factors?.positions ?? 0) }
    }

    /// Bytes of its tensors.
    public var denseByteCount: Int {
        compressedModules.compactMap(factoredModule).reduce(byteCount) {
            $0 + $1.parameters * $1.dtype.bits / 8 - ($1.factors?.bytes ?? 0)
        }
    }

    /// nil for schemas that are no product of two matrices, and for tensors that do not fit their schema.
    private func factoredModule(_ module: CompressedModule) -> LinearModule? {
        guard let schema = FactoredSchema.all.first(where: { $0.name == module.schema }),
            let rank = module.entry["rank"]?.int
        else { return nil }
        let tensors = schema.tensors.compactMap { tensor(named: "\(module.name).\($0)") }
        guard tensors.count == schema.tensors.count, tensors.prefix(2).allSatisfy({ $0.shape.count == 2 }),
            let type = tensors[0].dtype.elementType.map({ TensorDType($0) })
        else { return nil }
        let sides = schema.sides(tensors.map(\.shape))
        return LinearModule(
            name: module.name, weightName: "\(module.name).weight",
            biasName: schema.biases.map { "\(module.name).\($0)" }.first { tensor(named: $0) != nil },
            role: module.role, layer: module.layer, expert: module.expert, outFeatures: sides.out,
            inFeatures: sides.in, dtype: module.entry["dtype"]?.string.flatMap(TensorDType.init) ?? type,
            isTransposed: false, slice: nil, selectedByDefault: module.selectedByDefault,
            factors: LinearModule.Factors(
                schema: module.schema, rank: rank, tensors: tensors.map(\.name),
                parameters: tensors.prefix(2).reduce(0) { $0 + $1.elementCount },
                positions: tensors.dropFirst(2).reduce(0) { $0 + $1.elementCount },
                bytes: tensors.reduce(0) { $0 + $1.byteCount }))
    }
}
