package gitea

import (
	"context"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
)

// sweep deletes the tokens that a crash or a failed revocation has left.
func (s *source) sweep(ctx context.Context) {
	s.sweeper.Sweep(ctx, s.now(), s.lifetime, mintapi.Account[int64]{
		List: s.list, Remove: s.api.remove, Logger: s.logger.With("registry", s.registry, "credential", Kind.Name),
	})
}

func (s *source) list(ctx context.Context, page int) (all []mintapi.Named[int64], last bool, err error) {
	tokens, err := s.api.list(ctx, page)
	for _, t := range tokens {
		all = append(all, mintapi.Named[int64]{ID: t.ID, Name: t.Name})
	}
	return all, len(tokens) < pageSize, err
}
