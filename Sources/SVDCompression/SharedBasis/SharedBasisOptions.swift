import CompressionCore

/// Which matrices have a basis in common, as a user says it.
struct SharedBasisOptions: Sendable {
    /// What is grouped.
    enum Group: String, Sendable, CaseIterable {
        case matrix, layers, experts
    }

    static let names = ["svd-group", "share-layers", "share-projections", "share-sweeps"]
    /// Layers of a group where `--share-layers` does not say.
    private static let defaultLayers = 2

    var group = Group.matrix
    /// Consecutive layers of a group.
    var layers = Self.defaultLayers
    var projections = GroupedProjections.inputs
    /// Steps of the basis after that of the SVD.
    var sweeps = 1

    init() {}

    init(_ settings: MethodSettings) throws(CompressionError) {
        let layers = try settings.integer("share-layers")
        group = try settings.word("svd-group") ?? (layers == nil ? .matrix : .layers)
        self.layers = layers ?? self.layers
        if group != .layers, layers != nil {
            throw .badOption(
                name: "share-layers", reason: "with --svd-group \(group.rawValue) no layers share anything")
        }
        let projections: GroupedProjections? = try settings.word("share-projections")
        if group == .matrix, projections != nil {
            throw .badOption(name: "share-projections", reason: "nothing is shared: give --share-layers too")
        }
        self.projections = projections ?? self.projections
        let sweeps = try settings.integer("share-sweeps", from: 0)
        if group == .matrix, sweeps != nil {
            throw .badOption(name: "share-sweeps", reason: "nothing is shared: give --share-layers too")
        }
        self.sweeps = sweeps ?? self.sweeps
    }

    var grouping: Grouping {
        switch group {
        case .matrix: .single
        case .experts: .experts
        case .layers: layers == 1 ? .single : .layers(layers)
        }
    }
}
