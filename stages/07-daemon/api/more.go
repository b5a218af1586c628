package api

import (
	"net/http"

	"github.com/moby/moby/api/types/container"
)

func (s *Server) containerTop(w http.ResponseWriter, r *http.Request) error {
	titles, rows, err := s.Engine.Top(r.Context(), r.PathValue("id"), r.FormValue("ps_args"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, container.TopResponse{Titles: titles, Processes: rows})
}

func (s *Server) containerUpdate(w http.ResponseWriter, r *http.Request) error {
	var u container.UpdateConfig
	if err := readJSON(r, &u, false); err != nil {
		return err
	}
	if err := s.Engine.Update(r.Context(), r.PathValue("id"), u); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, container.UpdateResponse{Warnings: []string{}})
}
