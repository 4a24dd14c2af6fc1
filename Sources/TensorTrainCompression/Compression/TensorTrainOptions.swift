import CompressionCore

/// What a user can say about the form of a tensor train.
///
/// | option | value | default |
/// |---|---|---|
/// | `tt-layout` | `interleaved` or `split` | `interleaved` |
/// | `tt-order` | cores (interleaved), or modes a side (split) | 2 |
/// | `tt-modes` | modes, such as `out=8x8x16,in=4x4x8`; several forms for several shapes, separated by `;` | balanced |
/// | `tt-ranks` | r₁,…,r_(d−1): the ranks of all bonds, in place of a budget | |
///
/// Two cores are the default because at equal size they have the smallest error on weights: more cores either keep the
/// outer bonds whole, and then store square bases that say nothing, or cut these bonds, whose spectra hardly fall.
public struct TensorTrainOptions: Sendable {
    public var layout = TrainLayout.interleaved
    public var order: Int?
    /// The forms that were given: sides of out and in.
    public var forms: [(outputs: [Int], inputs: [Int])] = []
    public var ranks: [Int]?

    static let defaultOrder = 2
    static let names = ["tt-layout", "tt-order", "tt-modes", "tt-ranks"]

    public init() {}

    public init(_ settings: MethodSettings) throws(CompressionError) {
        layout = try settings.word("tt-layout") ?? .interleaved
        order = try settings.integer("tt-order")
        ranks = try settings.integers("tt-ranks")
        if let text = settings.values["tt-modes"] {
            if order != nil {
                throw .badOption(
                    name: "tt-order", reason: "--tt-modes says how many cores there are; give one of the two")
            }
            forms = try Self.forms(text, layout)
        }
        if let order, order > TrainModes.mostCores {
            throw .badOption(
                name: "tt-order", reason: "\(order) is above \(TrainModes.mostCores), more than any shape needs")
        }
    }

    /// The modes of a matrix (m × n).
    /// - Returns: nil where no order was asked for and the shape has none.
    /// - Throws: `CompressionError.impossible` where the shape cannot have what was asked for.
    func modes(of member: GroupMember) throws(CompressionError) -> TrainModes? {
        let (m, n) = (member.outFeatures, member.inFeatures)
        guard forms.isEmpty else {
            guard let form = forms.first(where: { $0.outputs.reduce(1, *) == m && $0.inputs.reduce(1, *) == n }) else {
                throw .impossible(
                    module: member.module,
                    reason:
                        "no form of --tt-modes multiplies to its size \(m)×\(n): \(Self.products(forms)); add one "
                        + "behind \";\", or leave the layer out")
            }
            return layout == .split
                ? TrainModes(splitOutputs: form.outputs, inputs: form.inputs)
                : TrainModes(outputs: form.outputs, inputs: form.inputs)
        }
        let asked = order ?? Self.defaultOrder
        let found =
            layout == .split
            ? TrainModes.split(outFeatures: m, inFeatures: n, modes: asked)
            : TrainModes.balanced(outFeatures: m, inFeatures: n, cores: asked)
        if found == nil, order != nil {
            throw .impossible(
                module: member.module,
                reason:
                    "--tt-order \(asked) is too high for its size \(m)×\(n), whose factors leave a core without modes")
        }
        if found == nil, layout == .split { return TrainModes(splitOutputs: [m], inputs: [n]) }
        return found
    }

    private static func products(_ forms: [(outputs: [Int], inputs: [Int])]) -> String {
        forms.map { "\($0.outputs.reduce(1, *))×\($0.inputs.reduce(1, *))" }.joined(separator: ", ")
    }

    // MARK: - Parsing

    private static func forms(
        _ text: String, _ layout: TrainLayout
    ) throws(CompressionError) -> [(outputs: [Int], inputs: [Int])] {
        var forms: [(outputs: [Int], inputs: [Int])] = []
        for part in text.split(separator: ";", omittingEmptySubsequences: false) {
            let sides = part.split(separator: ",", omittingEmptySubsequences: false)
            guard sides.count == 2, let outputs = side(sides[0], "out="), let inputs = side(sides[1], "in=") else {
                throw .badOption(name: "tt-modes", reason: "\"\(part)\" is not like out=8x8x16,in=4x4x8")
            }
            if layout == .interleaved, outputs.count != inputs.count {
                throw .badOption(
                    name: "tt-modes",
                    reason:
                        "\(outputs.count) output and \(inputs.count) input modes in \"\(part)\"; an interleaved "
                        + "train has as many of both, 1 among them where needed")
            }
            let cores = layout == .split ? outputs.count + inputs.count : outputs.count
            guard cores <= TrainModes.mostCores,
                TrainModes(checking: outputs, outputs) != nil, TrainModes(checking: inputs, inputs) != nil
            else {
                throw .badOption(
                    name: "tt-modes",
                    reason: "\"\(part)\" has more than \(TrainModes.mostCores) cores, or a side above "
                        + "\(TrainModes.mostFeatures)")
            }
            forms.append((outputs, inputs))
        }
        return forms
    }

    private static func side(_ text: Substring, _ name: String) -> [Int]? {
        guard text.hasPrefix(name) else { return nil }
        let parts = text.dropFirst(name.count).split(separator: "x", omittingEmptySubsequences: false)
        let modes = parts.compactMap { Int($0) }
        return modes.count == parts.count && modes.allSatisfy { $0 > 0 } ? modes : nil
    }
}
