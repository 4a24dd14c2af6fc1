/// How a family of models names its modules, and which shapes its configuration promises.
///
/// A descriptor is data: the name of each module, with `#` for a number (the layer, and behind it the expert), its role
/// and its shape. Everything that differs between families for this program stands in `Architecture.families`.
public struct Architecture: Sendable {
    public let name: String
    /// `model_type` in config.json.
    let modelTypes: [String]
    /// What may stand before the names of `modules`; checkpoints of bare models have nothing there.
    let prefixes: [String]
    /// Whether a configuration that does not say so ties the head to the embedding.
    let tiesHeadByDefault: Bool
    let modules: [Module]

    /// One module of the family.
    struct Module: Sendable {
        /// Without `.weight` and without prefix.
        let pattern: String
        let role: ModuleRole
        /// Of the tensor as stored; nil where the configuration does not say.
        let shape: [Side]?
        var presence = Presence.expected
        /// Whether the weight is stored (in × out).
        var isTransposed = false
    }

    /// Whether a module must be there.
    enum Presence: Sendable {
        case expected
        /// Only some models of the family have it.
        case optional
        /// The experts of a layer, one by one, in one stack, or a dense MLP in their place: one of the three.
        case oneFormOfExperts
    }

    /// A length that the configuration promises.
    enum Side: Sendable {
        case hidden, query, keyValue, queryKeyValue, head
        case intermediate, expertIntermediate, twiceExpertIntermediate
        case vocabulary, positions, types, experts
    }

    /// Where a name stands in the descriptor.
    struct Match {
        /// Index in `modules`.
        let module: Int
        let layer: Int?
        let expert: Int?
        let prefix: String
    }
}

/// Finds modules of an architecture by their names, in constant time.
struct ModuleMatcher {
    private let architecture: Architecture
    private let positions: [String: Int]
    /// Longest first, so that no prefix hides a longer one.
    private let prefixes: [String]

    init(_ architecture: Architecture) {
        self.architecture = architecture
        positions = Dictionary(
            architecture.modules.enumerated().map { ($1.pattern, $0) }, uniquingKeysWith: { first, _ in first })
        prefixes = (architecture.prefixes + [""]).sorted { $0.utf8.count > $1.utf8.count }
    }

    /// - Parameter name: a module's name, without `.weight`.
    func match(_ name: String) -> Architecture.Match? {
        for prefix in prefixes where name.hasPrefix(prefix) {
            let pattern = NumberedName(name.dropFirst(prefix.count))
            if let module = positions[pattern.text], pattern.numbers.count <= 2 {
                return Architecture.Match(
                    module: module, layer: pattern.numbers.first, expert: pattern.numbers.dropFirst().first,
                    prefix: prefix)
            }
        }
        return nil
    }
}

/// A name whose whole-number components are replaced by `#`: `layers.12.mlp` is `layers.#.mlp` with 12.
struct NumberedName {
    let text: String
    let numbers: [Int]

    init(_ name: Substring) {
        var numbers: [Int] = []
        let components = name.split(separator: ".", omittingEmptySubsequences: false).map { component -> Substring in
            guard let number = Self.number(component) else { return component }
            numbers.append(number)
            return "#"
        }
        text = components.joined(separator: ".")
        self.numbers = numbers
    }

    /// Digits only: no sign, and no leading zero, which would make two names of one.
    static func number(_ component: Substring) -> Int? {
        guard component.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            component == "0" || component.first != "0"
        else { return nil }
        return Int(component)
    }
}
