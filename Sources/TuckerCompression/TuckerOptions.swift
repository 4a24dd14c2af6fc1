import CompressionCore

/// Whether the members of a stack are compressed as a mode of their own.
enum TuckerMemberForm: String, Sendable, CaseIterable {
    /// Every member keeps its core; only rows and columns have shared factors.
    case preserve
    /// Members are combinations of fewer cores.
    case full
}

/// Which matrices are compressed together.
enum TuckerGroup: String, Sendable, CaseIterable {
    case matrix, heads, experts, layers
}

/// The options that belong to the method.
struct TuckerOptions: Sendable {
    static let names = [
        "tucker-group", "share-layers", "tucker-algorithm", "tucker-sweeps", "tucker-form", "tucker-ranks",
        "tucker-bundle", "tucker-bundle-form",
    ]
    /// A group may go through the whole model.
    private static let allLayers = Int.max
    /// Layers of a group where `--share-layers` does not say.
    static let defaultLayers = 2

    var group = TuckerGroup.matrix
    /// Consecutive layers of a group.
    var layers = Self.defaultLayers
    var algorithm = TuckerDecomposition.Algorithm.hooi
    /// Sweeps of HOOI; nil lets it end early.
    var sweeps: Int?
    var form = TuckerMemberForm.preserve
    /// λ of `BundleProjections`; nil compresses attention output projections like others.
    var bundle: Double?
    var bundleForm = BundleProjections.Form.tied
    /// Explicit ranks, in the order of the axes of the stored core.
    var ranks: [Int]?

    init() {}

    init(_ settings: MethodSettings) throws(CompressionError) {
        group = try settings.word("tucker-group") ?? group
        algorithm = try settings.word("tucker-algorithm") ?? algorithm
        form = try settings.word("tucker-form") ?? form
        sweeps = try settings.integer("tucker-sweeps")
        layers = try settings.integer("share-layers", from: 2) ?? layers
        ranks = try settings.integers("tucker-ranks")
        bundle = try settings.number("tucker-bundle", in: 0...1e6)
        bundleForm = try settings.word("tucker-bundle-form") ?? bundleForm
        try validate(settings)
    }

    private func validate(_ settings: MethodSettings) throws(CompressionError) {
        if bundle != nil, group != .matrix {
            throw .badOption(
                name: "tucker-bundle", reason: "groups output projections itself; leave --tucker-group out")
        }
        if bundle != nil, settings.storage == .pivot {
            throw .badOption(name: "tucker-bundle", reason: "its projections are stored as --storage factors only")
        }
        if bundle == nil, settings.values["tucker-bundle-form"] != nil {
            throw .badOption(name: "tucker-bundle-form", reason: "there is no bundle: give --tucker-bundle too")
        }
        if group != .layers, settings.values["share-layers"] != nil {
            throw .badOption(name: "share-layers", reason: "layers are shared with --tucker-group layers only")
        }
        if algorithm != .hooi, settings.values["tucker-sweeps"] != nil {
            throw .badOption(name: "tucker-sweeps", reason: "only --tucker-algorithm hooi makes sweeps")
        }
        if group == .matrix, settings.values["tucker-form"] != nil {
            throw .badOption(name: "tucker-form", reason: "a matrix has no members: give --tucker-group too")
        }
        if let ranks, !(2...3).contains(ranks.count) {
            throw .badOption(name: "tucker-ranks", reason: "2 ranks of a matrix or 3 of a stack are needed")
        }
        if let ranks, group == .matrix, ranks.count != 2 {
            throw .badOption(name: "tucker-ranks", reason: "a matrix has 2 ranks, those of its outputs and its inputs")
        }
    }

    var grouping: Grouping {
        switch group {
        case .matrix: bundle == nil ? .single : .layers(Self.allLayers)
        case .heads: .heads
        case .experts: .experts
        case .layers: .layers(layers)
        }
    }
}
